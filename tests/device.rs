//! The device is said once, at the first model.

mod common;

use common::{printed_in, small_net};

#[test]
fn said_once_at_the_first_model() {
    let printed = printed_in("en", "asks_for_the_versions_and_makes_two_models");
    let (before, after) = printed.split_once('\u{c}').unwrap();
    assert!(!before.contains("Device:"), "{printed}");
    assert_eq!(after.matches("Device: cpu").count(), 1, "{printed}");
}

#[test]
#[ignore = "prints for said_once_at_the_first_model"]
fn asks_for_the_versions_and_makes_two_models() {
    assert_eq!(svertka::versions().device, "cpu");
    println!("\u{c}");
    let _models = (small_net(), small_net());
}
