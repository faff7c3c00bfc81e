//! Every layer's output shape and number of weights, and the table that shows them.

mod common;

use common::{lesson_cnn, printed_in, values};
use svertka::prelude::*;

fn row(layers: impl Into<Vec<Layer>>, input: &[i64]) -> (Vec<i64>, i64) {
    let summary = Sequential::new(layers)
        .input_shape(input.to_vec())
        .summary()
        .unwrap();
    let last = summary.rows.last().unwrap();
    (last.output_shape.clone(), last.parameters)
}

#[test]
fn convolution() {
    assert_eq!(
        row([conv2d(64, (3, 3), Relu)], &[1, 28, 28]),
        (vec![64, 26, 26], 640)
    );
    assert_eq!(
        row([conv2d(64, (3, 3), Relu)], &[64, 13, 13]),
        (vec![64, 11, 11], 36_928)
    );
    assert_eq!(
        row([conv2d(2, (5, 3), Tanh)], &[3, 9, 7]),
        (vec![2, 5, 5], (3 * 15 + 1) * 2)
    );
    assert_eq!(
        row([conv2d(1, (4, 4), Linear)], &[1, 4, 4]),
        (vec![1, 1, 1], 17)
    );
}

#[test]
fn pooling() {
    assert_eq!(
        row([max_pooling2d(2, 2)], &[64, 26, 26]),
        (vec![64, 13, 13], 0)
    );
    assert_eq!(
        row([max_pooling2d(2, 2)], &[64, 11, 11]),
        (vec![64, 5, 5], 0)
    );
    assert_eq!(row([max_pooling2d(3, 2)], &[5, 11, 7]), (vec![5, 3, 3], 0));
}

#[test]
fn flatten_dense_dropout() {
    assert_eq!(row([flatten()], &[64, 5, 5]), (vec![1600], 0));
    assert_eq!(row([flatten()], &[28, 28]), (vec![784], 0));
    assert_eq!(row([dense(128, Relu)], &[1600]), (vec![128], 204_928));
    assert_eq!(row([dense(1, Sigmoid)], &[1]), (vec![1], 2));
    assert_eq!(row([dropout(0.5)], &[3, 4, 5]), (vec![3, 4, 5], 0));
}

#[test]
fn layers_are_named_as_in_keras() {
    let names: Vec<_> = lesson_cnn()
        .summary()
        .unwrap()
        .rows
        .into_iter()
        .map(|row| row.name)
        .collect();
    let expected = [
        "conv2d",
        "max_pooling2d",
        "conv2d_1",
        "max_pooling2d_1",
        "flatten",
        "dense",
        "dense_1",
    ];
    assert_eq!(names, expected);
}

#[test]
fn weights_begin_as_in_keras() {
    seed(7);
    let weights = lesson_cnn().weights().unwrap();
    let limits = [
        ("conv2d.kernel", (6.0f32 / (9.0 + 576.0)).sqrt()),
        ("conv2d_1.kernel", (6.0f32 / (576.0 + 576.0)).sqrt()),
        ("dense.kernel", (6.0f32 / (1600.0 + 128.0)).sqrt()),
        ("dense_1.kernel", (6.0f32 / (128.0 + 10.0)).sqrt()),
    ];
    for (name, limit) in limits {
        let kernel = values(&weights.iter().find(|(own, _)| own == name).unwrap().1);
        let largest = kernel.iter().fold(0f32, |a, b| a.max(b.abs()));
        assert!(
            largest <= limit && largest > 0.98 * limit,
            "{name}: {largest} and {limit}"
        );
        // A uniform distribution has this spread.
        let spread = (kernel.iter().map(|w| w * w).sum::<f32>() / kernel.len() as f32).sqrt();
        assert!(
            (spread / (limit / 3f32.sqrt()) - 1.0).abs() < 0.08,
            "{name}: {spread}"
        );
    }
    for (name, bias) in weights.iter().filter(|(name, _)| name.ends_with("bias")) {
        assert!(values(bias).iter().all(|&w| w == 0.0), "{name}");
    }
}

#[test]
fn activations_are_each_layers_own() {
    seed(1);
    let model = lesson_cnn();
    let images = Tensor::rand([2, 1, 28, 28], (Kind::Float, Device::Cpu));
    let outputs = model.activations(&images).unwrap();
    for (row, output) in model.summary().unwrap().rows.iter().zip(&outputs) {
        assert_eq!(output.name, row.name);
        assert_eq!(output.output.size()[1..], row.output_shape, "{}", row.name);
        assert!(!output.output.requires_grad());
    }
    // The first convolution has gone through its relu although a pooling follows; the last layer through its softmax.
    assert!(values(&outputs[0].output).iter().all(|&v| v >= 0.0));
    let sums = values(&outputs[6].output.sum_dim_intlist(1i64, false, Kind::Float));
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5));
    let probabilities = model.predict(&images).unwrap();
    assert!(
        (probabilities - &outputs[6].output)
            .abs()
            .max()
            .double_value(&[])
            < 1e-6
    );
}

fn table(language: &str) -> String {
    let printed = printed_in(language, "print_summary");
    // Between two form feeds: the test runner and the device have their say around it.
    printed.split('\u{c}').nth(1).unwrap().to_string()
}

#[test]
fn summary_as_text() {
    assert_eq!(
        table("en"),
        "
Layer            Output shape  Parameters
─────────────────────────────────────────
conv2d           [64, 26, 26]         640
max_pooling2d    [64, 13, 13]           0
conv2d_1         [64, 11, 11]      36,928
max_pooling2d_1  [64, 5, 5]             0
flatten          [1600]                 0
dense            [128]            204,928
dense_1          [10]               1,290
─────────────────────────────────────────
Total parameters: 243,786"
            .trim()
    );
    let russian = table("ru");
    assert!(
        russian.contains("Слой             Размер выхода  Параметры\n"),
        "{russian}"
    );
    assert!(
        russian.trim().ends_with("Всего параметров: 243\u{a0}786"),
        "{russian}"
    );
}

#[test]
#[ignore = "prints for summary_as_text"]
fn print_summary() {
    // The device is said at the first model; the table comes after it.
    let summary = lesson_cnn().summary().unwrap().to_string();
    println!("\u{c}{summary}\u{c}");
}
