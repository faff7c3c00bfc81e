//! A GPU is told of once, by whoever uses it first; a CPU is not worth a line.

mod common;

use common::{printed_on_device, small_net};

#[test]
fn a_gpu_is_told_of_once() {
    let told = |name| printed_on_device("en", name).matches("GPU").count();
    let on_gpu = svertka::versions().device.starts_with("cuda");
    assert_eq!(told("makes_two_models"), usize::from(on_gpu));
    // The versions name the device themselves.
    assert_eq!(told("asks_for_the_versions_and_makes_a_model"), 0);
}

#[test]
#[ignore = "prints for a_gpu_is_told_of_once"]
fn makes_two_models() {
    let _models = (small_net(), small_net());
}

#[test]
#[ignore = "prints for a_gpu_is_told_of_once"]
fn asks_for_the_versions_and_makes_a_model() {
    assert!(!svertka::versions().device.is_empty());
    let _model = small_net();
}
