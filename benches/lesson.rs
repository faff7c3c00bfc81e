//! The lesson's work in small pieces: `cargo bench`, or `cargo bench -- training_step` for one of them.
//!
//! Images are noise where nothing is loaded: the time does not depend on what they show.

use divan::Bencher;
use divan::counter::ItemsCount;
use svertka::prelude::*;

fn main() {
    // The first model tells of a GPU: above the table, not in it.
    net("dense");
    divan::main();
}

/// The nets of the lesson, by the name they go by here.
fn net(name: &str) -> Sequential {
    let mut layers = match name {
        "dense" => vec![],
        "cnn" => vec![
            conv2d(64, (3, 3), Relu),
            max_pooling2d(2, 2),
            conv2d(64, (3, 3), Relu),
            max_pooling2d(2, 2),
        ],
        _ => vec![conv2d(16, (3, 3), Relu), max_pooling2d(2, 2)],
    };
    layers.extend([flatten(), dense(128, Relu), dense(10, Softmax)]);
    let mut model = Sequential::new(layers).input_shape([1, 28, 28]);
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    model
}

fn batch(images: i64) -> (Tensor, Tensor) {
    let labels = Tensor::randint(10, [images], (Kind::Int64, Device::Cpu));
    let images = Tensor::rand([images, 1, 28, 28], (Kind::Float, Device::Cpu));
    (images, labels)
}

/// Forward, backward and Adam, with a batch of 32.
#[divan::bench(args = ["dense", "cnn", "last"], max_time = 5)]
fn training_step(bencher: Bencher, name: &str) {
    let mut model = net(name);
    let (images, labels) = batch(32);
    bencher
        .counter(ItemsCount::new(32usize))
        .bench_local(|| model.train_on_batch(&images, &labels).unwrap());
}

/// The CNN's training step with larger batches: the time for an image must not rise.
#[divan::bench(args = [32, 128, 512, 2048], max_time = 10)]
fn training_step_of(bencher: Bencher, size: i64) {
    let mut model = net("cnn");
    let (images, labels) = batch(size);
    bencher
        .counter(ItemsCount::new(size as usize))
        .bench_local(|| model.train_on_batch(&images, &labels).unwrap());
}

/// The probabilities of 32 images.
#[divan::bench(args = ["dense", "cnn", "last"], max_time = 5)]
fn forward_pass(bencher: Bencher, name: &str) {
    let model = net(name);
    let (images, _) = batch(32);
    bencher
        .counter(ItemsCount::new(32usize))
        .bench_local(|| model.predict(&images).unwrap());
}

/// The lesson's grid: three images through the CNN, drawn and packed as PNG.
#[divan::bench(max_time = 5)]
fn grid_drawing(bencher: Bencher) {
    let model = net("cnn");
    let (images, _) = batch(29);
    bencher.bench_local(|| {
        let figure = activation_grid(&model, &images, [0, 23, 28], 1).unwrap();
        figure.png().unwrap()
    });
}

/// The page that explores the CNN, with 32 of 10,000 images. A cell also draws the grid.
#[divan::bench(max_time = 5)]
fn explorer_page(bencher: Bencher) {
    let model = net("cnn");
    let (images, labels) = batch(10_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.html");
    bencher.bench_local(|| {
        let explorer = explore(&model, &images).unwrap();
        explorer.labels(&labels).unwrap().save(&path).unwrap();
    });
}

/// Fashion-MNIST from this machine's disk: reading, unpacking where it is gzipped, SHA-256, IDX.
#[divan::bench(max_time = 5)]
fn load_dataset(bencher: Bencher) {
    bencher
        .counter(ItemsCount::new(70_000usize))
        .bench_local(|| datasets::fashion_mnist().unwrap());
}
