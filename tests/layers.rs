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
    assert_eq!(
        row([max_pooling2d((3, 2), (3, 2))], &[5, 11, 7]),
        (vec![5, 3, 3], 0)
    );
}

/// Rows and columns that a window leaves of an image `[1, h, w]`.
fn left(layer: Layer, h: i64, w: i64) -> [i64; 2] {
    let (shape, _) = row([layer], &[1, h, w]);
    [shape[1], shape[2]]
}

#[test]
fn windows_with_strides_and_padding() {
    assert_eq!(left(conv2d(1, 3, Relu).strides(2), 28, 27), [13, 13]);
    assert_eq!(left(conv2d(1, 3, Relu).strides((3, 1)), 28, 27), [9, 25]);
    assert_eq!(left(max_pooling2d(3, 2), 28, 27), [13, 13]);
    assert_eq!(left(max_pooling2d(3, (1, 4)), 28, 27), [26, 7]);
    for size in [1, 2, 3, 5, 40] {
        for (strides, expected) in [(1, [28, 27]), (2, [14, 14]), (3, [10, 9]), (50, [1, 1])] {
            let conv = conv2d(1, size, Relu).strides(strides).padding(Same);
            assert_eq!(left(conv, 28, 27), expected);
            let pool = max_pooling2d(size, strides).padding(Same);
            assert_eq!(left(pool, 28, 27), expected);
        }
    }
    // A stride beyond the edge leaves one window, however long it is.
    let images = Tensor::rand([2, 1, 5, 5], (Kind::Float, Device::Cpu));
    for padding in [Valid, Same] {
        let conv = conv2d(2, 3, Relu).strides(i64::MAX).padding(padding);
        let pool = max_pooling2d(3, i64::MAX).padding(padding);
        for layer in [conv, pool] {
            let model = Sequential::new([layer, flatten(), dense(2, Softmax)]);
            let model = model.input_shape([1, 5, 5]);
            assert_eq!(model.predict(&images).unwrap().size(), [2, 2]);
        }
    }
}

#[test]
fn a_size_is_a_number_or_a_pair_of_any_integer_type() {
    let k = 3;
    let counted = ["a", "b", "c"].len();
    let of_a_tensor = Tensor::zeros([3], (Kind::Float, Device::Cpu)).size()[0];
    let same = [
        conv2d(8, k, Relu),
        conv2d(8, counted, Relu),
        conv2d(8, of_a_tensor, Relu),
        conv2d(8, (counted, of_a_tensor), Relu),
        conv2d(8, (3, 3), Relu),
        conv2d(8, 3u8, Relu).strides(1).strides((1, counted - 2)),
    ];
    assert!(same.iter().all(|layer| *layer == same[0]));
    // Elsewhere the same variable may be of either type.
    let (long, index) = (2, 2);
    assert_eq!(max_pooling2d(long, index), max_pooling2d((2, 2), (2, 2)));
    assert_eq!((i64::MAX / long, [5, 6, 7][index]), (i64::MAX / 2, 7));
}

#[test]
fn layers_show_the_call_that_makes_them() {
    for (layer, call) in [
        (conv2d(64, 3, Relu), "conv2d(64, (3, 3), Relu)"),
        (
            conv2d(8, (5, 3), Tanh).strides(2).padding(Same),
            "conv2d(8, (5, 3), Tanh).padding(Same).strides(2)",
        ),
        (
            conv2d(8, 1, Linear).strides((2, 1)),
            "conv2d(8, (1, 1), Linear).strides((2, 1))",
        ),
        (max_pooling2d(2, 2), "max_pooling2d(2, 2)"),
        (max_pooling2d(3, 2), "max_pooling2d(3, 2)"),
        (
            max_pooling2d((2, 1), (2, 1)).padding(Same),
            "max_pooling2d((2, 1), (2, 1)).padding(Same)",
        ),
        (flatten(), "flatten()"),
    ] {
        assert_eq!(layer.to_string(), call);
    }
}

#[test]
fn a_layer_by_its_name() {
    let model = lesson_cnn();
    let weights = model.weights().unwrap();
    let own = |name: &str| {
        let info = model.layer(name).unwrap();
        assert_eq!(info.name, name);
        assert_eq!(info.layer, model.layers()[info.index]);
        let shapes = (info.input_shape, info.output_shape);
        let names: Vec<_> = info.weights.iter().map(|(name, _)| name.clone()).collect();
        for (name, weight) in &info.weights {
            let (_, expected) = weights.iter().find(|(own, _)| own == name).unwrap();
            assert_eq!(values(weight), values(expected));
            // A copy: the model's stay as they are.
            let _ = weight.shallow_clone().fill_(7.0);
        }
        (info.index, shapes, names)
    };
    let names = |layer: &str| {
        ["kernel", "bias"]
            .map(|what| format!("{layer}.{what}"))
            .to_vec()
    };
    let shapes = (vec![1, 28, 28], vec![64, 26, 26]);
    assert_eq!(own("conv2d"), (0, shapes, names("conv2d")));
    let shapes = (vec![64, 13, 13], vec![64, 11, 11]);
    assert_eq!(own("conv2d_1"), (2, shapes, names("conv2d_1")));
    let shapes = (vec![64, 5, 5], vec![1600]);
    assert_eq!(own("flatten"), (4, shapes, vec![]));
    let after = model.weights().unwrap();
    let same = |((_, a), (_, b)): (&(_, Tensor), &(_, Tensor))| values(a) == values(b);
    assert!(weights.iter().zip(&after).all(same));
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
