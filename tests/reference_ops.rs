//! Convolution and pooling give what their definitions say, on random small shapes, alone and one after the other, and
//! their gradients are the slopes of the loss.

use proptest::prelude::*;
use svertka::prelude::*;

/// Numbers `[images, channels, rows, columns]`, in that order.
#[derive(Clone, Debug)]
struct Array {
    shape: [usize; 4],
    values: Vec<f64>,
}

impl Array {
    fn zeros(shape: [usize; 4]) -> Self {
        Self {
            shape,
            values: vec![0.0; shape.iter().product()],
        }
    }

    fn from_tensor(tensor: &Tensor) -> Self {
        let size: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
        let row = tensor.to_kind(Kind::Double).reshape([-1]);
        Self {
            shape: size.try_into().unwrap(),
            values: Vec::try_from(row).unwrap(),
        }
    }

    fn at(&self, n: usize, c: usize, y: usize, x: usize) -> f64 {
        let [_, channels, rows, columns] = self.shape;
        self.values[((n * channels + c) * rows + y) * columns + x]
    }

    fn set(&mut self, n: usize, c: usize, y: usize, x: usize, value: f64) {
        let [_, channels, rows, columns] = self.shape;
        self.values[((n * channels + c) * rows + y) * columns + x] = value;
    }
}

/// `out[n, f, y, x] = activation(bias[f] + Σ in[n, c, y + i, x + j] · kernel[f, c, i, j])`
fn convolve(input: &Array, kernel: &Array, bias: &[f64], activation: impl Fn(f64) -> f64) -> Array {
    let [images, channels, rows, columns] = input.shape;
    let [filters, _, h, w] = kernel.shape;
    let mut output = Array::zeros([images, filters, rows - h + 1, columns - w + 1]);
    for n in 0..images {
        for (f, bias) in bias.iter().enumerate() {
            for y in 0..=rows - h {
                for x in 0..=columns - w {
                    let mut sum = *bias;
                    for c in 0..channels {
                        for i in 0..h {
                            for j in 0..w {
                                sum += input.at(n, c, y + i, x + j) * kernel.at(f, c, i, j);
                            }
                        }
                    }
                    output.set(n, f, y, x, activation(sum));
                }
            }
        }
    }
    output
}

/// The largest of each h × w window; what is left over at the edge is dropped.
fn pool(input: &Array, h: usize, w: usize) -> Array {
    let [images, channels, rows, columns] = input.shape;
    let mut output = Array::zeros([images, channels, rows / h, columns / w]);
    for n in 0..images {
        for c in 0..channels {
            for y in 0..rows / h {
                for x in 0..columns / w {
                    let mut largest = f64::NEG_INFINITY;
                    for i in 0..h {
                        for j in 0..w {
                            largest = largest.max(input.at(n, c, y * h + i, x * w + j));
                        }
                    }
                    output.set(n, c, y, x, largest);
                }
            }
        }
    }
    output
}

fn apply(activation: Activation) -> fn(f64) -> f64 {
    match activation {
        Relu => |x| x.max(0.0),
        Sigmoid => |x| 1.0 / (1.0 + (-x).exp()),
        Tanh => f64::tanh,
        _ => |x| x,
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Linear), Just(Relu), Just(Sigmoid), Just(Tanh)]
}

/// A convolution and a pooling that fit an image, and the seed of the numbers in them.
#[derive(Clone, Debug)]
struct Case {
    image: [usize; 4],
    filters: usize,
    kernel: (usize, usize),
    pool: (usize, usize),
    activation: Activation,
    seed: i64,
}

fn cases() -> impl Strategy<Value = Case> {
    let image = (1..4usize, 1..5usize, 1..10usize, 1..10usize);
    let fitting = |(n, c, h, w)| {
        (1..=h, 1..=w).prop_flat_map(move |(kh, kw)| {
            (
                Just([n, c, h, w]),
                Just((kh, kw)),
                (1..=h - kh + 1, 1..=w - kw + 1),
                1..6usize,
                activations(),
                0..i64::MAX,
            )
        })
    };
    image
        .prop_flat_map(fitting)
        .prop_map(|(image, kernel, pool, filters, activation, seed)| Case {
            image,
            filters,
            kernel,
            pool,
            activation,
            seed,
        })
}

/// Numbers in [−1, 1) that depend on nothing but `seed`: the tests run side by side and share libtorch's generator.
fn numbers(seed: i64, shape: &[i64]) -> Tensor {
    let mut state = seed as u64;
    let count = shape.iter().product::<i64>();
    let values: Vec<f32> = (0..count)
        .map(|_| {
            // Knuth's constants for a linear congruential generator.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect();
    Tensor::from_slice(&values).reshape(shape)
}

fn sizes<const N: usize>(sizes: [usize; N]) -> [i64; N] {
    sizes.map(|size| size as i64)
}

impl Case {
    fn images(&self) -> Tensor {
        numbers(self.seed, &sizes(self.image))
    }

    fn convolution(&self) -> Layer {
        let [h, w] = sizes([self.kernel.0, self.kernel.1]);
        conv2d(self.filters as i64, (h, w), self.activation)
    }

    fn pooling(&self) -> Layer {
        max_pooling2d(self.pool.0 as i64, self.pool.1 as i64)
    }

    /// A model for the case's images whose weights come from the case's seed.
    fn model(&self, layers: Vec<Layer>) -> Sequential {
        let mut model = Sequential::new(layers).input_shape(&sizes(self.image)[1..]);
        let mut weights = model.weights().unwrap();
        for (i, (_, weight)) in weights.iter_mut().enumerate() {
            *weight = numbers(self.seed ^ (i as i64 + 1), &weight.size());
        }
        model.set_weights(&weights).unwrap();
        model
    }
}

fn assert_close(name: &str, output: &Tensor, expected: &Array) -> Result<(), TestCaseError> {
    let output = Array::from_tensor(output);
    prop_assert_eq!(output.shape, expected.shape, "the shape of {}", name);
    for (i, (a, b)) in output.values.iter().zip(&expected.values).enumerate() {
        let near = (a - b).abs() <= 1e-5 * b.abs().max(1.0);
        prop_assert!(near, "{}: number {} is {}, by definition {}", name, i, a, b);
    }
    Ok(())
}

/// The first layer's kernel and bias.
fn kernel_and_bias(model: &Sequential) -> (Array, Vec<f64>) {
    let weights = model.weights().unwrap();
    let bias = Vec::try_from(weights[1].1.to_kind(Kind::Double)).unwrap();
    (Array::from_tensor(&weights[0].1), bias)
}

proptest! {
    // The same cases in every run, and no file beside this one when a case fails.
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(4),
        ..ProptestConfig::default()
    })]

    #[test]
    fn convolution_and_the_pooling_behind_it(case in cases()) {
        let images = case.images();
        let model = case.model(vec![case.convolution(), case.pooling()]);
        let outputs = model.activations(&images).unwrap();
        let (kernel, bias) = kernel_and_bias(&model);
        let convolved = convolve(&Array::from_tensor(&images), &kernel, &bias, apply(case.activation));
        assert_close("conv2d", &outputs[0].output, &convolved)?;
        let pooled = pool(&convolved, case.pool.0, case.pool.1);
        assert_close("max_pooling2d", &outputs[1].output, &pooled)?;
    }

    #[test]
    fn pooling_of_the_image_and_the_convolution_behind_it(case in cases()) {
        // The pooling leaves fewer pixels: the kernel becomes what still fits.
        let [_, _, h, w] = case.image;
        let (rows, columns) = (h / case.pool.0, w / case.pool.1);
        let kernel = (case.kernel.0.min(rows), case.kernel.1.min(columns));
        let case = Case { kernel, ..case };
        let images = case.images();
        let model = case.model(vec![case.pooling(), case.convolution()]);
        let outputs = model.activations(&images).unwrap();
        let pooled = pool(&Array::from_tensor(&images), case.pool.0, case.pool.1);
        assert_close("max_pooling2d", &outputs[0].output, &pooled)?;
        let (kernel, bias) = kernel_and_bias(&model);
        let convolved = convolve(&pooled, &kernel, &bias, apply(case.activation));
        assert_close("conv2d", &outputs[1].output, &convolved)?;
    }

    /// `predict`, `evaluate` and `fit` take faster ways than `activations`: their numbers are the same.
    #[test]
    fn fast_ways_agree_with_the_plain_one(case in cases()) {
        let images = case.images();
        let layers = vec![case.convolution(), case.pooling(), flatten(), dense(3, Softmax)];
        let mut model = case.model(layers);
        let plain = model.activations(&images).unwrap().pop().unwrap().output;
        let fast = model.predict(&images).unwrap();
        prop_assert!((&fast - &plain).abs().max().double_value(&[]) <= 1e-5, "predict differs");

        let n = images.size()[0];
        let labels = Tensor::arange(n, (Kind::Int64, Device::Cpu)).remainder(3);
        let losses = plain.gather(1, &labels.unsqueeze(1), false).log();
        let loss = -losses.mean(Kind::Double).double_value(&[]);
        let score = model.evaluate(&images, &labels).unwrap();
        let near = |other: f64| (other - loss).abs() <= 1e-4 * loss.max(1.0);
        prop_assert!(near(score.loss), "evaluate's loss is {}, by definition {}", score.loss, loss);
        model.compile(Sgd::new(1e-3), SparseCategoricalCrossentropy);
        let before = model.weights().unwrap();
        let gradients = model.gradients(&images, &labels).unwrap();
        let trained = model.train_on_batch(&images, &labels).unwrap();
        prop_assert!(near(trained.loss), "the step's loss is {}, by definition {}", trained.loss, loss);
        let after = model.weights().unwrap();
        for (((name, before), (_, after)), (_, gradient)) in before.iter().zip(&after).zip(&gradients) {
            let off = (before - gradient * 1e-3 - after).abs().max().double_value(&[]);
            prop_assert!(off <= 1e-6, "{} moved otherwise than by its gradient, off by {}", name, off);
        }
    }
}

/// A gradient is a slope: moving one weight a little changes the loss by as much as the gradient says. Smooth activations
/// only, and no pooling, whose choice may change under the finger.
#[test]
fn gradients_are_slopes() {
    let case = Case {
        image: [3, 2, 6, 5],
        filters: 3,
        kernel: (3, 2),
        pool: (1, 1),
        activation: Tanh,
        seed: 11,
    };
    let images = case.images();
    let labels = Tensor::from_slice(&[2i64, 0, 1]);
    let mut model = case.model(vec![
        case.convolution(),
        flatten(),
        dense(4, Sigmoid),
        dense(3, Softmax),
    ]);
    let weights = model.weights().unwrap();
    let gradients = model.gradients(&images, &labels).unwrap();
    let step = 1e-2;
    for ((name, weight), (_, gradient)) in weights.iter().zip(&gradients) {
        let gradient = gradient.reshape([-1]);
        for i in 0..weight.numel() as i64 {
            let mut loss = |change: f64| {
                let moved = weight.copy();
                let mut number = moved.reshape([-1]).get(i);
                let _ = number.g_add_scalar_(change);
                model.set_weights(&[(name, moved)]).unwrap();
                model.evaluate(&images, &labels).unwrap().loss
            };
            let slope = (loss(step) - loss(-step)) / (2.0 * step);
            let gradient = gradient.double_value(&[i]);
            // The difference quotient itself is off by about step² and by f32's rounding over step.
            let near = (slope - gradient).abs() <= 2e-4;
            assert!(
                near,
                "{name}[{i}]: the gradient is {gradient}, the slope {slope}"
            );
        }
        model.set_weights(&[(name, weight.copy())]).unwrap();
    }
}
