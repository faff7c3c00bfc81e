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

/// How windows go along rows and columns.
#[derive(Clone, Copy, Debug)]
struct Windows {
    size: (usize, usize),
    strides: (usize, usize),
    same: bool,
}

impl Windows {
    /// The number of outputs of an axis, and how many zeros stand before it: TensorFlow's definition.
    fn axis(input: usize, size: usize, stride: usize, same: bool) -> (usize, usize) {
        if !same {
            return ((input - size) / stride + 1, 0);
        }
        let output = input.div_ceil(stride);
        let pad = ((output - 1) * stride + size).saturating_sub(input);
        (output, pad / 2)
    }

    /// Rows and columns that come out of so many.
    fn output(&self, (rows, columns): (usize, usize)) -> (usize, usize) {
        (
            Self::axis(rows, self.size.0, self.strides.0, self.same).0,
            Self::axis(columns, self.size.1, self.strides.1, self.same).0,
        )
    }

    /// The pixels that the window at output (y, x) sees: (row in the window, column in it, row, column).
    fn pixels(
        &self,
        image: (usize, usize),
        (y, x): (usize, usize),
    ) -> Vec<(usize, usize, usize, usize)> {
        let (_, top) = Self::axis(image.0, self.size.0, self.strides.0, self.same);
        let (_, left) = Self::axis(image.1, self.size.1, self.strides.1, self.same);
        let mut pixels = Vec::new();
        for i in 0..self.size.0 {
            for j in 0..self.size.1 {
                let row = (y * self.strides.0 + i).checked_sub(top);
                let column = (x * self.strides.1 + j).checked_sub(left);
                if let (Some(row), Some(column)) = (row, column)
                    && row < image.0
                    && column < image.1
                {
                    pixels.push((i, j, row, column));
                }
            }
        }
        pixels
    }

    fn layer(&self, layer: Layer) -> Layer {
        layer
            .strides(self.strides)
            .padding(if self.same { Same } else { Valid })
    }
}

/// `out[n, f, y, x] = activation(bias[f] + Σ in[n, c, row, column] · kernel[f, c, i, j])` over the window's pixels.
fn convolve(
    input: &Array,
    windows: Windows,
    (kernel, bias): &(Array, Vec<f64>),
    activation: impl Fn(f64) -> f64,
) -> Array {
    let [images, channels, h, w] = input.shape;
    let (rows, columns) = windows.output((h, w));
    let mut output = Array::zeros([images, bias.len(), rows, columns]);
    for n in 0..images {
        for (f, bias) in bias.iter().enumerate() {
            for y in 0..rows {
                for x in 0..columns {
                    let mut sum = *bias;
                    for (i, j, row, column) in windows.pixels((h, w), (y, x)) {
                        for c in 0..channels {
                            sum += input.at(n, c, row, column) * kernel.at(f, c, i, j);
                        }
                    }
                    output.set(n, f, y, x, activation(sum));
                }
            }
        }
    }
    output
}

/// The largest of the pixels that each window sees.
fn pool(input: &Array, windows: Windows) -> Array {
    let [images, channels, h, w] = input.shape;
    let (rows, columns) = windows.output((h, w));
    let mut output = Array::zeros([images, channels, rows, columns]);
    for n in 0..images {
        for c in 0..channels {
            for y in 0..rows {
                for x in 0..columns {
                    let seen = windows.pixels((h, w), (y, x)).into_iter();
                    let values = seen.map(|(_, _, row, column)| input.at(n, c, row, column));
                    output.set(n, c, y, x, values.fold(f64::NEG_INFINITY, f64::max));
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

/// An image, a convolution and a pooling that fit it in either order, and the seed of the numbers in them.
#[derive(Clone, Debug)]
struct Case {
    image: [usize; 4],
    filters: usize,
    kernel: Windows,
    pool: Windows,
    activation: Activation,
    seed: i64,
}

fn windows() -> impl Strategy<Value = Windows> {
    let windows = |size, strides, same| Windows {
        size,
        strides,
        same,
    };
    (
        (1..6usize, 1..6usize),
        (1..4usize, 1..4usize),
        any::<bool>(),
    )
        .prop_map(move |(size, strides, same)| windows(size, strides, same))
}

fn cases() -> impl Strategy<Value = Case> {
    let image = (1..4usize, 1..5usize, 1..10usize, 1..10usize);
    (
        image,
        windows(),
        windows(),
        1..6usize,
        activations(),
        0..i64::MAX,
    )
        .prop_map(
            |((n, c, h, w), kernel, pool, filters, activation, seed)| Case {
                image: [n, c, h, w],
                filters,
                kernel,
                pool,
                activation,
                seed,
            },
        )
}

/// Windows that are not padded become what fits into so many rows and columns.
fn fitting(windows: Windows, (rows, columns): (usize, usize)) -> Windows {
    let (h, w) = windows.size;
    let size = match windows.same {
        true => (h, w),
        false => (h.min(rows), w.min(columns)),
    };
    Windows { size, ..windows }
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

    /// The case with windows that fit where the convolution comes first, or the pooling.
    fn fitting(self, convolution_first: bool) -> Self {
        let image = (self.image[2], self.image[3]);
        let [kernel, pool] = if convolution_first {
            let kernel = fitting(self.kernel, image);
            [kernel, fitting(self.pool, kernel.output(image))]
        } else {
            let pool = fitting(self.pool, image);
            [fitting(self.kernel, pool.output(image)), pool]
        };
        Self {
            kernel,
            pool,
            ..self
        }
    }

    fn convolution(&self) -> Layer {
        let layer = conv2d(self.filters as i64, self.kernel.size, self.activation);
        self.kernel.layer(layer)
    }

    fn pooling(&self) -> Layer {
        self.pool.layer(max_pooling2d(self.pool.size, 1))
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
        let case = case.fitting(true);
        let images = case.images();
        let model = case.model(vec![case.convolution(), case.pooling()]);
        let outputs = model.activations(&images).unwrap();
        let weights = kernel_and_bias(&model);
        let convolved = convolve(&Array::from_tensor(&images), case.kernel, &weights, apply(case.activation));
        assert_close("conv2d", &outputs[0].output, &convolved)?;
        assert_close("max_pooling2d", &outputs[1].output, &pool(&convolved, case.pool))?;
    }

    #[test]
    fn pooling_of_the_image_and_the_convolution_behind_it(case in cases()) {
        let case = case.fitting(false);
        let images = case.images();
        let model = case.model(vec![case.pooling(), case.convolution()]);
        let outputs = model.activations(&images).unwrap();
        let pooled = pool(&Array::from_tensor(&images), case.pool);
        assert_close("max_pooling2d", &outputs[0].output, &pooled)?;
        let convolved = convolve(&pooled, case.kernel, &kernel_and_bias(&model), apply(case.activation));
        assert_close("conv2d", &outputs[1].output, &convolved)?;
    }

    /// `predict`, `evaluate` and `fit` take faster ways than `activations`: their numbers are the same.
    #[test]
    fn fast_ways_agree_with_the_plain_one(case in cases()) {
        let case = case.fitting(true);
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
        kernel: Windows {
            size: (3, 2),
            strides: (1, 2),
            same: true,
        },
        pool: Windows {
            size: (1, 1),
            strides: (1, 1),
            same: false,
        },
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
