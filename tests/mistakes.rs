//! The mistakes that learners make, one row each: the message is the one that `mistakes/messages.json` has under the
//! row's name, in both languages, on one line; nothing panics; and the model and the data live on.

mod common;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use common::{printed_in, values};
use svertka::Result;
use svertka::prelude::*;

/// What a learner has before the mistake, and still has after it.
struct Lesson {
    /// A trained net with 64 filters for images `[1, 28, 28]`.
    model: Sequential,
    /// Numbers from 0 to 1, `[32, 1, 28, 28]`: no mistake needs a picture.
    images: Tensor,
    /// 0 to 9, over and over.
    labels: Tensor,
}

impl Lesson {
    fn new() -> Self {
        seed(1);
        let images = Tensor::rand([32, 1, 28, 28], (Kind::Float, Device::Cpu));
        let labels = Tensor::arange(32, (Kind::Int64, Device::Cpu)).remainder(10);
        let mut model = Sequential::new([
            conv2d(64, (3, 3), Relu),
            max_pooling2d(2, 2),
            flatten(),
            dense(10, Softmax),
        ])
        .input_shape([1, 28, 28]);
        model.compile(Adam::default(), SparseCategoricalCrossentropy);
        model.fit(&images, &labels, once()).unwrap();
        Self {
            model,
            images,
            labels,
        }
    }

    /// Trains the lesson's model on its images, in this way.
    fn fit(&mut self, fit: Fit) -> Result<History> {
        self.model.fit(&self.images, &self.labels, fit)
    }

    /// Trains the lesson's model with this optimizer.
    fn learn(&mut self, optimizer: impl Into<Optimizer>) -> Result<History> {
        self.model.compile(optimizer, SparseCategoricalCrossentropy);
        self.fit(once())
    }

    /// Trains a new model of these layers on the lesson's images.
    fn train(&self, layers: impl Into<Vec<Layer>>) -> Result<History> {
        net(layers).fit(&self.images, &self.labels, once())
    }

    /// All that must be the same after a mistake: the data, and the model's score.
    fn state(&self) -> (Vec<f32>, Vec<f32>, Score) {
        let score = self.model.evaluate(&self.images, &self.labels).unwrap();
        (values(&self.images), values(&self.labels), score)
    }

    /// Whether the model still learns when the mistake is corrected. Its weights are as before.
    fn learns(&mut self) -> bool {
        let weights = self.model.weights().unwrap();
        let before = self.state().2;
        self.learn(Adam::default()).unwrap();
        let after = self.state().2;
        self.model.set_weights(&weights).unwrap();
        after.loss < before.loss
    }
}

fn once() -> Fit {
    Fit::epochs(1).batch_size(8).verbosity(Verbosity::Silent)
}

/// A compiled model that has seen no image.
fn net(layers: impl Into<Vec<Layer>>) -> Sequential {
    let mut model = Sequential::new(layers);
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    model
}

/// The shortest net for the lesson's images.
fn shortest() -> Sequential {
    net([flatten(), dense(10, Softmax)])
}

fn zeros(size: &[i64]) -> Tensor {
    Tensor::zeros(size, (Kind::Float, Device::Cpu))
}

type Row = (&'static str, fn(&mut Lesson) -> Result<()>);

macro_rules! rows {
    ($($name:literal, |$lesson:ident| $mistake:expr;)*) => {
        &[$(($name, |$lesson: &mut Lesson| {
            let _ = &$lesson;
            ($mistake).map(|_| ())
        })),*]
    };
}

/// The row whose message is printed; all others return it.
const NOTE: &str = "images from 0 to 255";

#[rustfmt::skip]
const ROWS: &[Row] = rows! {
    // Images
    "images without the reshape", |it| it.model.fit(&it.images.squeeze(), &it.labels, once());
    "images without the reshape, no input shape", |it| net([conv2d(4, (3, 3), Relu), flatten(), dense(10, Softmax)]).fit(&it.images.squeeze(), &it.labels, once());
    "images in one row", |it| it.model.evaluate(&it.images.flatten(1, -1), &it.labels);
    "images from 0 to 255", |it| {
        let (mut model, images) = (shortest(), &it.images * 255.0);
        model.fit(&images, &it.labels, once()).and_then(|_| model.fit(&images, &it.labels, once()))
    };
    "channels last", |it| it.model.fit(&it.images.permute([0, 2, 3, 1]), &it.labels, once());
    "channels last, no input shape", |it| net([conv2d(4, (3, 3), Relu), flatten(), dense(10, Softmax)]).fit(&it.images.permute([0, 2, 3, 1]), &it.labels, once());
    "channels last, padded", |it| net([conv2d(4, 3, Relu).padding(Same), flatten(), dense(10, Softmax)]).fit(&it.images.permute([0, 2, 3, 1]), &it.labels, once());
    "channels last in input_shape", |_it| Sequential::new([max_pooling2d(2, 2), flatten(), dense(10, Softmax)]).input_shape([28, 28, 1]).summary();
    "32 × 32 for 28 × 28", |it| it.model.predict(&zeros(&[32, 1, 32, 32]));
    "three channels for one", |it| it.model.predict(&zeros(&[32, 3, 28, 28]));
    "one image without the batch", |it| it.model.predict(&it.images.get(0));
    "one image of two axes", |it| it.model.predict(&it.images.get(0).squeeze());
    "no images", |it| it.model.fit(&it.images.narrow(0, 0, 0), &it.labels.narrow(0, 0, 0), once());
    "images and labels swapped", |it| it.model.fit(&it.labels, &it.images, once());
    "images and labels swapped, no input shape", |it| shortest().fit(&it.labels, &it.images, once());
    "images of bool", |it| it.model.fit(&it.images.gt(0.5), &it.labels, once());
    "images of complex numbers", |it| it.model.predict(&it.images.to_kind(Kind::ComplexFloat));
    "NaN in an image", |it| {
        let holes = it.images.copy();
        let _ = holes.get(7).fill_(f64::NAN);
        it.model.fit(&holes, &it.labels, once())
    };

    // Labels
    "labels of floats", |it| it.model.fit(&it.images, &it.labels.to_kind(Kind::Float), once());
    "labels of bool", |it| it.model.evaluate(&it.images, &it.labels.gt(4));
    "labels from 1 to 10", |it| it.model.fit(&it.images, &(&it.labels + 1), once());
    "a label of -1", |it| it.model.evaluate(&it.images, &it.labels.index_fill(0, &Tensor::from_slice(&[3i64]), -1));
    "9 units for 10 classes", |it| it.train([flatten(), dense(9, Softmax)]);
    "one-hot labels", |it| it.model.fit(&it.images, &it.labels.one_hot(10), once());
    "labels in a column", |it| it.model.fit(&it.images, &it.labels.unsqueeze(1), once());
    "labels of another count", |it| it.model.fit(&it.images, &it.labels.narrow(0, 0, 20), once());

    // Layers
    "no layers", |it| it.train([]);
    "no layers with an input shape", |_it| Sequential::new([]).input_shape([1, 28, 28]).summary();
    "a kernel larger than its input", |it| it.train([max_pooling2d(9, 9), conv2d(4, (5, 5), Relu), flatten(), dense(10, Softmax)]);
    "pooling to nothing", |it| it.train([max_pooling2d(5, 5), max_pooling2d(4, 4), max_pooling2d(2, 2), flatten(), dense(10, Softmax)]);
    "dense without flatten", |it| it.train([conv2d(4, (3, 3), Relu), dense(10, Softmax)]);
    "flatten twice", |it| it.train([flatten(), flatten(), dense(10, Softmax)]);
    "convolution after flatten", |it| it.train([flatten(), conv2d(4, (3, 3), Relu), dense(10, Softmax)]);
    "pooling after dense", |it| it.train([flatten(), dense(32, Relu), max_pooling2d(2, 2), dense(10, Softmax)]);
    "softmax in the middle", |it| it.train([flatten(), dense(32, Softmax), dense(10, Softmax)]);
    "relu at the end", |it| it.train([flatten(), dense(10, Relu)]);
    "sigmoid at the end", |it| it.train([flatten(), dense(10, Sigmoid)]);
    "convolution at the end", |it| it.train([conv2d(10, (3, 3), Softmax)]);
    "flatten at the end", |it| it.train([conv2d(10, (3, 3), Relu), flatten()]);
    "dropout of 1", |it| it.train([flatten(), dropout(1.0), dense(10, Softmax)]);
    "dropout of 50 per cent", |it| it.train([flatten(), dropout(50.0), dense(10, Softmax)]);
    "negative filters", |it| it.train([conv2d(-3, (3, 3), Relu), flatten(), dense(10, Softmax)]);
    "a kernel of height 0", |it| it.train([conv2d(4, (0, 3), Relu), flatten(), dense(10, Softmax)]);
    "pooling of width 0", |it| it.train([max_pooling2d((2, 0), 2), flatten(), dense(10, Softmax)]);
    "pooling with strides 0", |it| it.train([max_pooling2d(2, 0), flatten(), dense(10, Softmax)]);
    "negative strides", |it| it.train([conv2d(4, 3, Relu).strides((1, -1)), flatten(), dense(10, Softmax)]);
    "padding of a flatten", |it| it.train([conv2d(4, 3, Relu), flatten().padding(Same), dense(10, Softmax)]);
    "strides of a dense layer", |it| it.train([flatten(), dense(10, Softmax).strides(2)]);
    "a huge kernel, padded", |it| it.train([conv2d(4, 1_000_000_000, Relu).padding(Same), flatten(), dense(10, Softmax)]);
    "a huge pooling, padded", |it| it.train([max_pooling2d(i64::MAX, 2).padding(Same), flatten(), dense(10, Softmax)]);
    "no units", |it| it.train([flatten(), dense(0, Relu), dense(10, Softmax)]);
    "a huge dense layer", |it| it.train([flatten(), dense(10_000_000_000, Relu), dense(10, Softmax)]);
    "an empty input shape", |_it| shortest().input_shape([]).summary();
    "a size of 0 in input_shape", |_it| shortest().input_shape([0, 28, 28]).summary();
    "a huge input shape", |_it| shortest().input_shape([1, 1_000_000, 1_000_000]).summary();
    "input_shape without the channel", |_it| net([conv2d(4, (3, 3), Relu), flatten(), dense(10, Softmax)]).input_shape([28, 28]).summary();
    "input_shape with the number of images", |_it| net([conv2d(4, (3, 3), Relu), flatten(), dense(10, Softmax)]).input_shape([60000, 1, 28, 28]).summary();

    // The order of calls
    "fit before compile", |it| Sequential::new([flatten(), dense(10, Softmax)]).fit(&it.images, &it.labels, once());
    "evaluate before any shape is known", |it| shortest().evaluate(&it.images, &it.labels);
    "summary before any shape is known", |_it| shortest().summary();
    "save before any shape is known", |_it| shortest().save("missing/model.safetensors");

    // Settings of the training
    "learning rate 0", |it| it.learn(Adam::new(0.0));
    "negative learning rate", |it| it.learn(Sgd::new(-0.01));
    "learning rate NaN", |it| it.learn(Adam::new(f64::NAN));
    "learning rate 1e10", |it| it.learn(Sgd::new(1e10));
    "learning rate 1e10, Adam", |it| it.learn(Adam::new(1e10));
    "a schedule down to 0", |it| it.fit(once().callback(LearningRateSchedule::new(|_, _| 0.0)));
    "momentum 1", |it| it.learn(Sgd::new(0.01).momentum(1.0));
    "negative momentum", |it| it.learn(Sgd::new(0.01).momentum(-0.9));
    "beta_1 of 1", |it| it.learn(Adam { beta_1: 1.0, ..Adam::default() });
    "epsilon 0", |it| it.learn(Adam { epsilon: 0.0, ..Adam::default() });
    "0 epochs", |it| it.fit(Fit::epochs(0));
    "batch size 0", |it| it.fit(once().batch_size(0));
    "fraction 0", |it| it.fit(once().fraction(0.0));
    "fraction of 50 per cent", |it| it.fit(once().fraction(50.0));
    "validation split 0", |it| it.fit(once().validation_split(0.0));
    "validation split 1", |it| it.fit(once().validation_split(1.0));
    "validation split NaN", |it| it.fit(once().validation_split(f64::NAN));
    "validation split that leaves nothing to train on", |it| it.fit(once().validation_split(0.99));
    "validation split that holds nothing back", |it| it.fit(once().validation_split(1e-20));
    "validation images of another shape", |it| {
        let fit = once().validation(&it.images.squeeze(), &it.labels);
        it.fit(fit)
    };
    "validation labels of another count", |it| {
        let fit = once().validation(&it.images, &it.labels.narrow(0, 0, 9));
        it.fit(fit)
    };
    "saving each epoch into a folder that is not there", |it| it.fit(once().save_each_epoch("missing/model.safetensors"));

    // Weights and files
    "a layer of another name", |it| it.model.layer("conv");
    "weights of another name", |it| it.model.set_weights(&[("conv.kernel", zeros(&[64, 1, 3, 3]))]);
    "weights of another shape", |it| it.model.set_weights(&[("conv2d.kernel", zeros(&[3, 3, 1, 64]))]);
    "save to a folder", |it| it.model.save("tests");
    "save into a folder that is not there", |it| it.model.save("missing/model.safetensors");
    "load a folder", |_it| Sequential::load("tests");
    "load a file that is not there", |_it| Sequential::load("model.safetensors");
    "load a text", |_it| Sequential::load("Cargo.toml");
    "a figure to a folder", |it| gallery(&it.images, &it.labels)?.save("tests");
    "a figure as JPEG", |it| gallery(&it.images, &it.labels)?.save("figure.jpg");
    "a figure into a folder that is not there", |it| gallery(&it.images, &it.labels)?.save("missing/figure.png");

    // Figures
    "filter 64 of 64", |it| activation_grid(&it.model, &it.images, [0, 23, 28], 64);
    "filter -1", |it| activation_grid(&it.model, &it.images, [0, 23, 28], -1);
    "image 10000 of 10000", |it| activation_grid(&it.model, &zeros(&[1, 1, 28, 28]).expand([10000, 1, 28, 28], false), [0, 23, 10000], 1);
    "a grid of no image", |it| activation_grid(&it.model, &it.images, [], 1);
    "a grid of too many images", |it| activation_grid(&it.model, &it.images, 0..20, 1);
    "a picture of a net without pictures", |it| activation_grid(&shortest().input_shape([28, 28]), &it.images.squeeze(), [0], 1);
    "kernels of a dense layer", |it| kernel_grid(&it.model, "dense");
    "kernels of a net without convolutions", |_it| kernel_grid(&shortest().input_shape([28, 28]), "conv2d");
    "a gallery with too few labels", |it| gallery(&it.images, &it.labels.narrow(0, 0, 5));
    "a gallery of flat images", |it| gallery(&it.images.flatten(1, -1), &it.labels);
    "a gallery with a label of -1", |it| gallery(&it.images, &(&it.labels - 10));
    "mistakes with too few labels", |it| misclassified(&it.model, &it.images, &it.labels.narrow(0, 0, 5));
    "confusion with too few images", |it| confusion_matrix(&it.model, &it.images.narrow(0, 0, 5), &it.labels);

    // The environment
    "SVERTKA_DEVICE=gpu", |_it| {
        let output = Command::new(std::env::current_exe()?)
            .args(["make_a_model", "--exact", "--ignored", "--nocapture", "--quiet"])
            .env("SVERTKA_DEVICE", "gpu")
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        Err::<(), _>(anyhow::Error::msg(text.split('\u{1}').nth(1).unwrap_or(&text).to_string()))
    };
};

/// Each row's message in both languages, by the row's name.
fn table() -> BTreeMap<String, BTreeMap<String, String>> {
    serde_json::from_str(include_str!("mistakes/messages.json")).unwrap()
}

fn messages_are_the_tables(language: &str) {
    let table = table();
    let printed = printed_in(language, "make_the_mistakes");
    let mut made = 0;
    let mut wrong = Vec::new();
    for row in printed.split('\u{1}').skip(1) {
        let Some((name, text)) = row.split_once('\u{2}') else {
            continue;
        };
        made += 1;
        let expected = table.get(name).map(|row| row[language].as_str());
        // A line and its end, nothing else.
        if text.strip_suffix('\n') != expected {
            wrong.push(format!(
                "{name}\n  said:     {text}  expected: {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(made, ROWS.len());
}

#[test]
fn each_mistake_has_its_message_in_english() {
    messages_are_the_tables("en");
}

#[test]
fn each_mistake_has_its_message_in_russian() {
    messages_are_the_tables("ru");
}

#[test]
fn messages_are_made_for_learners() {
    let table = table();
    assert_eq!(table.len(), ROWS.len(), "a message for each row");
    for (name, row) in &table {
        for (language, text) in row {
            assert!(!text.contains('\n'), "{name}: {text}");
            // libtorch's own words: a check of this crate's is missing.
            assert!(!text.contains("libtorch"), "{name}: {text}");
            let russian = text.chars().any(|c| ('а'..='я').contains(&c));
            assert_eq!(russian, language == "ru", "{name}: {text}");
        }
    }
}

#[test]
#[ignore = "prints for the tests of messages"]
fn make_the_mistakes() {
    // Hundreds of tiny steps: a second thread would only be waited for.
    tch::set_num_threads(1);
    let mut lesson = Lesson::new();
    let before = lesson.state();
    for (name, mistake) in ROWS {
        print!("\u{1}{name}\u{2}");
        let result = catch_unwind(AssertUnwindSafe(|| mistake(&mut lesson)));
        let result = result.unwrap_or_else(|_| panic!("{name} panics"));
        assert_eq!(result.is_ok(), *name == NOTE, "{name}: {result:?}");
        if let Err(error) = result {
            // With its causes, if it had any.
            println!("{error:#}");
        }
        assert_eq!(lesson.state(), before, "after {name}");
        assert!(lesson.learns(), "after {name}");
        assert_eq!(lesson.state(), before, "after {name} and a training");
    }
    println!("\u{1}");
}

#[test]
#[ignore = "prints for the row SVERTKA_DEVICE=gpu"]
fn make_a_model() {
    let model = shortest().input_shape([28, 28]);
    if let Err(error) = model.summary() {
        print!("\u{1}{error:#}\u{1}");
    }
}
