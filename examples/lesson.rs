//! The lesson's work without a notebook, with a clock around each part: what `environment/compare` holds against Keras.
//!
//! ```text
//! cargo run --release --example lesson -- [--epochs 5,5,10] [--seed 1] [--only-cnn]
//! ```
//!
//! Prints a line of JSON for each part beside the lesson's own output: `{"part":"cnn fit","seconds":58.3,…}`.

use std::time::Instant;

use svertka::prelude::*;

struct Options {
    /// Of the dense net, the CNN and the last net.
    epochs: [i64; 3],
    only_cnn: bool,
}

fn options() -> svertka::Result<Options> {
    let mut options = Options {
        epochs: [5, 5, 10],
        only_cnn: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| anyhow::anyhow!("{word} wants a value"))
        };
        match word.as_str() {
            "--epochs" => {
                let numbers: Result<Vec<i64>, _> = value()?.split(',').map(str::parse).collect();
                options.epochs = numbers?
                    .try_into()
                    .map_err(|_| anyhow::anyhow!("--epochs wants three numbers, as 5,5,10"))?;
            }
            "--seed" => seed(value()?.parse()?),
            "--only-cnn" => options.only_cnn = true,
            _ => anyhow::bail!("{word} is none of --epochs, --seed, --only-cnn"),
        }
    }
    Ok(options)
}

/// A number in JSON, with the digits of a clock or an accuracy.
fn tell(part: &str, seconds: f64, more: &[(&str, f64)]) {
    let more: String = more
        .iter()
        .map(|(name, value)| format!(",\"{name}\":{value:.6}"))
        .collect();
    println!("{{\"part\":\"{part}\",\"seconds\":{seconds:.6}{more}}}");
}

fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> svertka::Result<T>) -> svertka::Result<T> {
    let begin = Instant::now();
    let result = work()?;
    *seconds += begin.elapsed().as_secs_f64();
    Ok(result)
}

/// Images `[n, 1, 28, 28]` from 0 to 1 and their labels, to train and to test.
type Data = [(Tensor, Tensor); 2];

fn scaled(dataset: datasets::Dataset) -> Data {
    [dataset.train, dataset.test]
        .map(|(images, labels)| (images.reshape([-1, 1, 28, 28]) / 255.0, labels))
}

/// Trains, tests, and tells both accuracies; returns the seconds of `evaluate`.
fn train_and_test(
    part: &str,
    model: &mut Sequential,
    data: &Data,
    epochs: i64,
) -> svertka::Result<f64> {
    let [
        (training_images, training_labels),
        (test_images, test_labels),
    ] = data;
    let (mut fit, mut evaluate) = (0.0, 0.0);
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    let history = timed(&mut fit, || {
        model.fit(training_images, training_labels, Fit::epochs(epochs))
    })?;
    let score = timed(&mut evaluate, || model.evaluate(test_images, test_labels))?;
    println!("{score}");
    let trained = history.epochs.last().map_or(0.0, |epoch| epoch.accuracy);
    let accuracies = [
        ("train_accuracy", trained),
        ("test_accuracy", score.accuracy),
    ];
    tell(part, fit, &accuracies);
    Ok(evaluate)
}

fn main() -> svertka::Result<()> {
    let Options {
        epochs: [dense_epochs, cnn_epochs, last_epochs],
        only_cnn,
    } = options()?;
    let mut load = 0.0;

    if !only_cnn {
        let data = timed(&mut load, || Ok(scaled(datasets::fashion_mnist()?)))?;
        let mut model = Sequential::new([flatten(), dense(128, Relu), dense(10, Softmax)]);
        train_and_test("dense fit", &mut model, &data, dense_epochs)?;
    }

    println!("{}", versions());
    let data = timed(&mut load, || Ok(scaled(datasets::fashion_mnist()?)))?;
    let mut model = Sequential::new([
        conv2d(64, (3, 3), Relu),
        max_pooling2d(2, 2),
        conv2d(64, (3, 3), Relu),
        max_pooling2d(2, 2),
        flatten(),
        dense(128, Relu),
        dense(10, Softmax),
    ])
    .input_shape([1, 28, 28]);
    model.summary()?.show()?;
    let evaluate = train_and_test("cnn fit", &mut model, &data, cnn_epochs)?;
    tell("evaluate", evaluate, &[]);
    tell("load", load, &[]);
    if only_cnn {
        return Ok(());
    }

    let [_, (test_images, test_labels)] = &data;
    println!("{}", test_labels.i(..100));
    let mut grid = 0.0;
    let picture = timed(&mut grid, || {
        activation_grid(&model, test_images, [0, 23, 28], 1)?.png()
    })?;
    tell("activation grid", grid, &[("bytes", picture.len() as f64)]);

    drop(data);
    let mut load_digits = 0.0;
    let data = timed(&mut load_digits, || Ok(scaled(datasets::mnist()?)))?;
    let mut model = Sequential::new([
        conv2d(16, (3, 3), Relu),
        max_pooling2d(2, 2),
        flatten(),
        dense(128, Relu),
        dense(10, Softmax),
    ])
    .input_shape([1, 28, 28]);
    train_and_test("last fit", &mut model, &data, last_epochs)?;
    tell("load digits", load_digits, &[]);
    Ok(())
}
