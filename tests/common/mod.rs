//! What several test files need.

// Each test file takes what it needs.
#![allow(dead_code)]

use std::process::Command;

use svertka::prelude::*;

/// The lesson's convolutional net, not compiled yet.
pub fn lesson_cnn() -> Sequential {
    Sequential::new([
        conv2d(64, (3, 3), Relu),
        max_pooling2d(2, 2),
        conv2d(64, (3, 3), Relu),
        max_pooling2d(2, 2),
        flatten(),
        dense(128, Relu),
        dense(10, Softmax),
    ])
    .input_shape([1, 28, 28])
}

/// A small net that learns quickly, compiled.
pub fn small_net() -> Sequential {
    let mut model = Sequential::new([
        conv2d(4, (3, 3), Relu),
        max_pooling2d(2, 2),
        flatten(),
        dense(10, Softmax),
    ])
    .input_shape([1, 28, 28]);
    model.compile(Adam::new(0.01), SparseCategoricalCrossentropy);
    model
}

/// Real handwritten digits, scaled: the first `n` of the training set, `[n, 1, 28, 28]`, and their labels.
pub fn digits(n: i64) -> (Tensor, Tensor) {
    let (images, labels) = datasets::mnist().expect("set-up provides the digits").train;
    (
        images.narrow(0, 0, n).reshape([-1, 1, 28, 28]) / 255.0,
        labels.narrow(0, 0, n),
    )
}

/// What the ignored test `name` of this test file prints on the CPU when the learner's language is `language`.
pub fn printed_in(language: &str, name: &str) -> String {
    printed(
        Command::new(std::env::current_exe().unwrap()).env("SVERTKA_DEVICE", "cpu"),
        language,
        name,
    )
}

/// The same, on the device that is found.
pub fn printed_on_device(language: &str, name: &str) -> String {
    printed(
        &mut Command::new(std::env::current_exe().unwrap()),
        language,
        name,
    )
}

fn printed(command: &mut Command, language: &str, name: &str) -> String {
    let output = command
        .args([
            name,
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
            "--quiet",
        ])
        .env("SVERTKA_LANG", language)
        .env_remove("SVERTKA_KERNEL")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The error's message.
pub fn message<T>(result: svertka::Result<T>) -> String {
    match result {
        Ok(_) => panic!("there should have been an error"),
        Err(error) => error.to_string(),
    }
}

/// The values of a tensor, in order.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.contiguous().view([-1])).unwrap()
}
