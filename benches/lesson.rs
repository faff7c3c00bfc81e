//! The lesson's work in small pieces: `cargo bench`, or `cargo bench -- training_step` for one of them.
//!
//! Images are noise: the time does not depend on what they show.

use std::io::Write;
use std::path::Path;

use divan::Bencher;
use divan::counter::ItemsCount;
use ring::digest::{SHA256, digest};
use svertka::datasets::{DatasetSpec, Sources, Watcher};
use svertka::prelude::*;

fn main() {
    // The first model says which device is in use: above the table, not in it.
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

struct Silent;

impl Watcher for Silent {
    fn line(&mut self, _: &str) {}
    fn progress(&mut self, _: &str, _: u64, _: Option<u64>) {}
    fn interrupted(&mut self) -> bool {
        false
    }
}

/// An IDX file of `images` images, or of as many labels; two thirds of the pixels are black, as in Fashion-MNIST's.
fn idx(images: usize, labels: bool) -> Vec<u8> {
    let (mut file, values) = if labels {
        (vec![0, 0, 8, 1], images)
    } else {
        (vec![0, 0, 8, 3], images * 28 * 28)
    };
    file.extend((images as u32).to_be_bytes());
    if !labels {
        file.extend([0, 0, 0, 28, 0, 0, 0, 28]);
    }
    let mut state = 1u32;
    file.extend((0..values).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let value = (state >> 24) as u8;
        match (labels, value % 3) {
            (true, _) => value % 10,
            (false, 0) => value,
            (false, _) => 0,
        }
    }));
    file
}

fn write_gzipped(path: &Path, content: &[u8]) {
    let file = std::fs::File::create(path).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap();
}

/// A dataset of 11,000 images from a folder: reading, unpacking where gzipped, SHA-256, IDX.
#[divan::bench(args = ["plain", "gzipped"], max_time = 5)]
fn idx_parsing(bencher: Bencher, form: &str) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("noise");
    std::fs::create_dir(&folder).unwrap();
    let files = [
        ("train-images-idx3-ubyte", idx(10_000, false)),
        ("train-labels-idx1-ubyte", idx(10_000, true)),
        ("t10k-images-idx3-ubyte", idx(1_000, false)),
        ("t10k-labels-idx1-ubyte", idx(1_000, true)),
    ];
    // A declaration is made to be a constant: this one lives as long as the program, too.
    let sha256 = files.each_ref().map(|(name, content)| {
        match form {
            "plain" => std::fs::write(folder.join(name), content).unwrap(),
            _ => write_gzipped(&folder.join(format!("{name}.gz")), content),
        }
        let hash = digest(&SHA256, content);
        let hex = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
        &*hex.collect::<String>().leak()
    });
    let spec = DatasetSpec {
        title: "Noise",
        folder: "noise",
        class_names: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        licence: "none",
        train: 10_000,
        test: 1_000,
        sha256,
        mirrors: &[],
    };
    let sources = Sources {
        own: Some(root.path().to_path_buf()),
        cache: None,
        system: root.path().join("nothing"),
        limits: Default::default(),
    };
    bencher
        .counter(ItemsCount::new(11_000usize))
        .bench_local(|| svertka::datasets::load(&spec, None, &sources, &mut Silent).unwrap());
}
