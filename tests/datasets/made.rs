//! A small dataset of the tests' own: noise in MNIST's format.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::datasets::{Dataset, DatasetSpec, Limits, Sources, Watcher};
use flate2::Compression;
use flate2::write::GzEncoder;

pub const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

pub const TRAIN: usize = 300;
pub const TEST: usize = 100;

/// The dataset's files, plain, in the order of [`FILES`].
pub fn contents() -> [Vec<u8>; 4] {
    let mut state = 88_172_645_463_325_252_u64;
    let mut noise = |count: usize, below: u64| -> Vec<u8> {
        (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % below) as u8
            })
            .collect()
    };
    let mut pair = |count: usize| {
        let images = idx(&[count, 28, 28], &noise(count * 28 * 28, 256));
        (images, idx(&[count], &noise(count, 10)))
    };
    let (train_images, train_labels) = pair(TRAIN);
    let (test_images, test_labels) = pair(TEST);
    [train_images, train_labels, test_images, test_labels]
}

pub fn idx(dimensions: &[usize], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    for &size in dimensions {
        bytes.extend((size as u32).to_be_bytes());
    }
    bytes.extend(values);
    bytes
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// What is declared of the made dataset, with these mirrors.
pub fn spec(mirrors: &[String]) -> DatasetSpec {
    let leak = |text: String| -> &'static str { text.leak() };
    let mirrors: Vec<&'static str> = mirrors.iter().map(|mirror| leak(mirror.clone())).collect();
    DatasetSpec {
        title: "Noise",
        folder: "noise",
        class_names: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "nine & <ten>"],
        licence: "CC0",
        train: TRAIN as i64,
        test: TEST as i64,
        sha256: contents().map(|content| {
            let digest = ring::digest::digest(&ring::digest::SHA256, &content);
            leak(
                digest
                    .as_ref()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            )
        }),
        mirrors: mirrors.leak(),
    }
}

/// No place but the cache in that folder; nothing else of this machine is looked at.
pub fn sources(folder: &Path) -> Sources {
    Sources {
        own: None,
        cache: Some(folder.join("cache")),
        system: folder.join("system"),
        limits: Limits::default(),
    }
}

/// Writes the four files into a folder.
pub fn write(folder: &Path, gzipped: bool) {
    fs::create_dir_all(folder).unwrap();
    for (name, content) in FILES.iter().zip(contents()) {
        if gzipped {
            fs::write(folder.join(format!("{name}.gz")), gzip(&content)).unwrap();
        } else {
            fs::write(folder.join(name), content).unwrap();
        }
    }
}

/// Whether the tensors hold the made noise.
pub fn assert_right(dataset: &Dataset) {
    let [train_images, train_labels, test_images, test_labels] = contents();
    for ((images, labels), image_file, label_file, count) in [
        (&dataset.train, &train_images, &train_labels, TRAIN),
        (&dataset.test, &test_images, &test_labels, TEST),
    ] {
        assert_eq!(images.size(), [count as i64, 28, 28]);
        assert_eq!(images.kind(), tch::Kind::Uint8);
        assert_eq!(labels.size(), [count as i64]);
        assert_eq!(labels.kind(), tch::Kind::Int64);
        let pixels: Vec<u8> = Vec::try_from(images.flatten(0, -1)).unwrap();
        assert!(pixels == image_file[16..]);
        let numbers: Vec<i64> = Vec::try_from(labels).unwrap();
        assert!(
            numbers
                .iter()
                .map(|&label| label as u8)
                .eq(label_file[8..].iter().copied())
        );
    }
}

/// Remembers what it was told, and stops the work if it was told to.
#[derive(Default)]
pub struct Notes {
    pub lines: Vec<String>,
    /// The most bytes seen of any file, and the total of the last.
    pub most: u64,
    pub total: Option<u64>,
    /// Interrupts as soon as so many bytes of a file have come.
    pub stop_at: Option<u64>,
}

impl Watcher for Notes {
    fn line(&mut self, text: &str) {
        self.lines.push(text.to_string());
    }

    fn progress(&mut self, _: &str, done: u64, total: Option<u64>) {
        self.most = self.most.max(done);
        self.total = total;
    }

    fn interrupted(&mut self) -> bool {
        self.stop_at.is_some_and(|stop| self.most >= stop)
    }
}

/// Whether the crate speaks Russian here: the tests hold its words in both languages.
pub fn russian() -> bool {
    ["SVERTKA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_some_and(|value| value.to_lowercase().starts_with("ru"))
}

/// The one of both that is due here.
pub fn words<'a>(english: &'a str, russian_words: &'a str) -> &'a str {
    if russian() { russian_words } else { english }
}

/// The names in a folder, sorted; none if it is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What a cache folder holds after a download that went well.
pub fn whole_cache() -> Vec<String> {
    let mut names: Vec<String> = FILES.iter().map(ToString::to_string).collect();
    names.push(".lock".into());
    names.sort();
    names
}
