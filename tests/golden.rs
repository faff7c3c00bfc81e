//! svertka computes what Keras computes: outputs, loss, gradients and training steps of the lesson's nets and of nets with
//! odd shapes, on real test images. `golden/make_golden.py` made the numbers and says how they are stored.

use std::collections::HashMap;
use std::path::Path;

use svertka::prelude::*;

/// For outputs and losses: absolute, or relative for numbers above 1.
const OUTPUT: f64 = 1e-5;
/// For gradients, likewise. The promise is 1e-4, but a gradient is small: it must hold to a tenth of that.
const GRADIENT: f64 = 1e-5;
/// For weights after up to ten steps, likewise.
const WEIGHT: f64 = 1e-4;

const FULL: usize = 1500;
const SAMPLES: usize = 1000;
const IMAGES: i64 = 77;
const BATCH: i64 = 8;

struct Golden {
    tensors: HashMap<String, Tensor>,
    failures: Vec<String>,
}

impl Golden {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/golden.safetensors");
        let tensors = Tensor::read_safetensors(path)
            .unwrap()
            .into_iter()
            .collect();
        Self {
            tensors,
            failures: Vec::new(),
        }
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        let tensor = self
            .tensors
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in the golden data"));
        flat(tensor)
    }

    /// All 77 images, `[77, 28, 28]` from 0 to 1, and their labels.
    fn images(&self) -> (Tensor, Tensor) {
        let images = self.tensors["images"].to_kind(Kind::Float) / 255.0;
        (images, self.tensors["labels"].to_kind(Kind::Int64))
    }

    fn compare(&mut self, name: &str, value: &Tensor, tolerance: f64) {
        let numbers = flat(value);
        if numbers.len() <= FULL {
            let shape = self.tensors[name].size();
            assert_eq!(value.size(), shape, "the shape of {name}");
            self.compare_numbers(name, &numbers, tolerance);
            return;
        }
        let sizes = value.size();
        let rows = (1..sizes.len())
            .map(|axis| sizes[..axis].iter().product::<i64>() as usize)
            .min_by_key(|rows| rows + numbers.len() / rows)
            .unwrap();
        let columns = numbers.len() / rows;
        let samples: Vec<f64> = numbers
            .iter()
            .step_by((numbers.len() / SAMPLES) | 1)
            .copied()
            .collect();
        let row_sums: Vec<f64> = numbers
            .chunks(columns)
            .map(|row| row.iter().sum())
            .collect();
        let mut column_sums = vec![0.0; columns];
        for row in numbers.chunks(columns) {
            for (sum, number) in column_sums.iter_mut().zip(row) {
                *sum += number;
            }
        }
        self.compare_numbers(&format!("{name}#samples"), &samples, tolerance);
        self.compare_numbers(&format!("{name}#rows"), &row_sums, tolerance);
        self.compare_numbers(&format!("{name}#columns"), &column_sums, tolerance);
    }

    fn compare_numbers(&mut self, name: &str, numbers: &[f64], tolerance: f64) {
        let expected = self.numbers(name);
        assert_eq!(numbers.len(), expected.len(), "how many numbers {name} has");
        let off = |(number, expected): (&f64, &f64)| {
            let off = (number - expected).abs() / expected.abs().max(1.0);
            // A NaN is as far off as can be.
            if off.is_nan() { f64::INFINITY } else { off }
        };
        let worst = numbers.iter().zip(&expected).map(off).fold(0.0, f64::max);
        println!("{worst:.1e} of {tolerance:.0e}  {name}");
        if worst > tolerance {
            self.failures.push(format!(
                "{name}: off by {worst:.1e}, allowed {tolerance:.0e}"
            ));
        }
    }

    fn compare_all(&mut self, group: &str, values: &[(String, Tensor)], tolerance: f64) {
        for (name, value) in values {
            self.compare(&format!("{group}/{name}"), value, tolerance);
        }
    }
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let row = tensor
        .to_device(Device::Cpu)
        .to_kind(Kind::Double)
        .reshape([-1]);
    Vec::<f64>::try_from(row).unwrap()
}

/// `count` numbers in [−1, 1) for the net's weight tensor `parameter`: the formula of make_golden.py.
fn weight_values(count: usize, parameter: u32) -> Vec<f32> {
    let value = |i: u32| {
        let mut x = i.wrapping_add((parameter + 1).wrapping_mul(0x9E37_79B9));
        x ^= x >> 16;
        x = x.wrapping_mul(0x7FEB_352D);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846C_A68B);
        x ^= x >> 16;
        (x >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count as u32).map(value).collect()
}

fn set_initial_weights(model: &mut Sequential) {
    let mut weights = model.weights().unwrap();
    for (parameter, (_, weight)) in weights.iter_mut().enumerate() {
        let size = weight.size();
        let limit = if size.len() == 1 {
            0.1
        } else {
            let window: i64 = size[2..].iter().product();
            (6.0 / ((size[0] + size[1]) * window) as f64).sqrt()
        };
        let count: i64 = size.iter().product();
        let values: Vec<f32> = weight_values(count as usize, parameter as u32)
            .into_iter()
            .map(|value| value * limit as f32)
            .collect();
        *weight = Tensor::from_slice(&values).reshape(&size);
    }
    model.set_weights(&weights).unwrap();
}

/// Holds the net `name` against the golden data.
fn check<const N: usize>(name: &str, prepare: fn(&Tensor) -> Tensor, layers: [Layer; N]) {
    let mut golden = Golden::read();
    let (images, labels) = golden.images();
    let images = prepare(&images);
    let mut model = Sequential::new(layers).input_shape(&images.size()[1..]);

    // The short last batch, then one image alone.
    set_initial_weights(&mut model);
    for (group, start, len) in [("short", 9 * BATCH, IMAGES - 9 * BATCH), ("alone", 0, 1)] {
        let group = format!("{name}/{group}");
        let (images, labels) = (images.narrow(0, start, len), labels.narrow(0, start, len));
        if group.ends_with("short") {
            for layer in model.activations(&images).unwrap() {
                golden.compare(
                    &format!("{group}/output/{}", layer.name),
                    &layer.output,
                    OUTPUT,
                );
            }
        }
        let probabilities = model.predict(&images).unwrap();
        golden.compare(&format!("{group}/probabilities"), &probabilities, OUTPUT);
        let loss = model.evaluate(&images, &labels).unwrap().loss;
        golden.compare_numbers(&format!("{group}/loss"), &[loss], OUTPUT);
        let gradients = model.gradients(&images, &labels).unwrap();
        golden.compare_all(&format!("{group}/gradient"), &gradients, GRADIENT);
    }
    let (first, first_labels) = (images.narrow(0, 0, BATCH), labels.narrow(0, 0, BATCH));
    let gradients = model.gradients(&first, &first_labels).unwrap();
    golden.compare_all(&format!("{name}/batch/gradient"), &gradients, GRADIENT);

    let optimizers: [(&str, Optimizer); 3] = [
        ("adam", Adam::default().into()),
        ("sgd", Sgd::new(0.1).into()),
        ("momentum", Sgd::new(0.1).momentum(0.9).into()),
    ];
    for (group, optimizer) in optimizers {
        let group = format!("{name}/{group}");

        // Step by step.
        set_initial_weights(&mut model);
        model.compile(optimizer.clone(), SparseCategoricalCrossentropy);
        let mut losses = Vec::new();
        for step in 0..10 {
            let start = step * BATCH;
            let len = BATCH.min(IMAGES - start);
            let (images, labels) = (images.narrow(0, start, len), labels.narrow(0, start, len));
            losses.push(model.train_on_batch(&images, &labels).unwrap().loss);
            if step == 0 {
                golden.compare_all(&format!("{group}/1"), &model.weights().unwrap(), WEIGHT);
            }
        }
        golden.compare_numbers(&format!("{group}/losses"), &losses, OUTPUT);
        golden.compare_all(&format!("{group}/10"), &model.weights().unwrap(), WEIGHT);

        // The same ten steps as one epoch of `fit`.
        set_initial_weights(&mut model);
        model.compile(optimizer, SparseCategoricalCrossentropy);
        let fit = Fit::epochs(1)
            .batch_size(BATCH)
            .shuffle(false)
            .verbosity(Verbosity::Silent);
        let epoch = model.fit(&images, &labels, fit).unwrap().epochs.remove(0);
        golden.compare_all(&format!("{group}/10"), &model.weights().unwrap(), WEIGHT);
        let losses = golden.numbers(&format!("{group}/losses"));
        let sum: f64 = losses[..9].iter().map(|loss| loss * 8.0).sum();
        let mean = (sum + losses[9] * 5.0) / 77.0;
        let off = (epoch.loss - mean).abs() / mean.max(1.0);
        assert!(
            off <= OUTPUT,
            "{group}: the epoch's loss is {}, Keras's {mean}",
            epoch.loss
        );
    }
    assert!(
        golden.failures.is_empty(),
        "not what Keras computes:\n{}",
        golden.failures.join("\n")
    );
}

fn whole(images: &Tensor) -> Tensor {
    images.unsqueeze(1)
}

/// 27 × 27: odd, so that the pooling leaves rows and columns over.
fn cropped(images: &Tensor) -> Tensor {
    images.narrow(1, 0, 27).narrow(2, 0, 27).unsqueeze(1)
}

/// Three of the image's quarters as three channels, `[n, 3, 14, 14]`.
fn quarters(images: &Tensor) -> Tensor {
    let quarter = |row, column| images.narrow(1, row, 14).narrow(2, column, 14);
    Tensor::stack(&[quarter(0, 0), quarter(0, 14), quarter(14, 0)], 1)
}

#[test]
fn dense_net() {
    check(
        "dense_net",
        Tensor::shallow_clone,
        [flatten(), dense(128, Relu), dense(10, Softmax)],
    );
}

#[test]
fn cnn() {
    check(
        "cnn",
        whole,
        [
            conv2d(64, (3, 3), Relu),
            max_pooling2d(2, 2),
            conv2d(64, (3, 3), Relu),
            max_pooling2d(2, 2),
            flatten(),
            dense(128, Relu),
            dense(10, Softmax),
        ],
    );
}

#[test]
fn last_net() {
    check(
        "last_net",
        whole,
        [
            conv2d(16, (3, 3), Relu),
            max_pooling2d(2, 2),
            flatten(),
            dense(128, Relu),
            dense(10, Softmax),
        ],
    );
}

/// A 5 × 3 kernel, pooling 3 × 2 of 23 × 25, one filter, pooling of 6 × 11.
#[test]
fn odd_shapes() {
    check(
        "odd_shapes",
        cropped,
        [
            conv2d(3, (5, 3), Relu),
            max_pooling2d((3, 2), (3, 2)),
            conv2d(1, (2, 2), Tanh),
            max_pooling2d(2, 2),
            flatten(),
            dense(7, Sigmoid),
            dense(10, Softmax),
        ],
    );
}

#[test]
fn one_filter_and_one_unit() {
    check(
        "one_of_each",
        whole,
        [
            conv2d(1, (3, 3), Relu),
            conv2d(2, (1, 4), Linear),
            max_pooling2d((4, 3), (4, 3)),
            flatten(),
            dense(1, Tanh),
            dense(10, Softmax),
        ],
    );
}

#[test]
fn three_channels() {
    check(
        "three_channels",
        quarters,
        [
            conv2d(5, (3, 3), Sigmoid),
            max_pooling2d(2, 2),
            conv2d(4, (2, 3), Relu),
            flatten(),
            dense(10, Softmax),
        ],
    );
}

/// Padding alike at both ends, and by one more at the bottom and right.
#[test]
fn same() {
    check(
        "same",
        whole,
        [
            conv2d(3, 3, Relu).padding(Same),
            max_pooling2d(2, 2).padding(Same),
            conv2d(2, 2, Tanh).padding(Same),
            max_pooling2d(3, 2).padding(Same),
            conv2d(2, (5, 3), Linear).padding(Same),
            max_pooling2d(2, 1).padding(Same),
            flatten(),
            dense(10, Softmax),
        ],
    );
}

#[test]
fn same_with_strides() {
    check(
        "same_strides",
        whole,
        [
            conv2d(3, 3, Relu).strides(2).padding(Same),
            conv2d(2, (5, 3), Sigmoid).padding(Same).strides((2, 1)),
            max_pooling2d((2, 3), (1, 2)).padding(Same),
            conv2d(2, 2, Tanh).strides(3).padding(Same),
            flatten(),
            dense(10, Softmax),
        ],
    );
}

#[test]
fn same_with_strides_on_odd_images() {
    check(
        "same_strides_odd",
        cropped,
        [
            conv2d(3, 3, Relu).padding(Same),
            max_pooling2d(3, 2).padding(Same),
            conv2d(2, (5, 3), Tanh).padding(Same).strides((2, 1)),
            max_pooling2d((2, 1), (2, 1)).padding(Same),
            conv2d(2, 3, Relu).strides(3).padding(Same),
            flatten(),
            dense(10, Softmax),
        ],
    );
}

/// Windows that overlap, and windows that leave pixels out.
#[test]
fn strides() {
    check(
        "strides",
        cropped,
        [
            conv2d(3, 3, Relu).strides(2),
            max_pooling2d(3, 2),
            conv2d(3, 2, Tanh).strides((2, 1)),
            max_pooling2d((2, 1), (1, 3)),
            conv2d(4, 1, Relu).strides(3),
            flatten(),
            dense(10, Softmax),
        ],
    );
}
