//! A dataset's files are taken from the first place that has them, checked, and shown for what they are.

// A part of the crate's own tests: places, mirrors and limits are not public (`src/datasets/mod.rs` names this file).
mod made;
mod network;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use made::{FILES, Notes, assert_right, names, sources, spec, words, write};

use super::{Dataset, MNIST, Sources, mnist};

fn load(sources: &Sources) -> (crate::Result<Dataset>, Vec<String>) {
    let mut notes = Notes::default();
    let outcome = super::load(&spec(&[]), None, sources, &mut notes);
    (outcome, notes.lines)
}

fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[50] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn each_place_serves_plain_and_gzipped() {
    for gzipped in [false, true] {
        for place in ["own", "cache", "system"] {
            let folder = tempfile::tempdir().unwrap();
            let mut sources = sources(folder.path());
            sources.own = Some(folder.path().join("own"));
            let source = folder.path().join(place).join("noise");
            write(&source, gzipped);
            let (dataset, lines) = load(&sources);
            let dataset = dataset.unwrap();
            assert_right(&dataset);
            assert_eq!(dataset.origins, [source.display().to_string()]);
            assert!(lines.is_empty(), "{lines:?}");
        }
    }
}

#[test]
fn the_users_own_folder_comes_first_then_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = sources(folder.path());
    sources.own = Some(folder.path().join("own"));
    for place in ["own", "cache", "system"] {
        write(&folder.path().join(place).join("noise"), false);
    }
    for place in ["own", "cache", "system"] {
        let source = folder.path().join(place).join("noise");
        let (dataset, _) = load(&sources);
        assert_eq!(dataset.unwrap().origins, [source.display().to_string()]);
        fs::remove_dir_all(source).unwrap();
    }
}

#[test]
fn files_of_one_dataset_may_lie_in_several_places() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache/noise");
    let system = folder.path().join("system/noise");
    write(&cache, false);
    write(&system, true);
    fs::remove_file(cache.join(FILES[2])).unwrap();
    let (dataset, _) = load(&sources(folder.path()));
    let dataset = dataset.unwrap();
    assert_right(&dataset);
    let origins = [cache, system].map(|place| place.display().to_string());
    assert_eq!(dataset.origins, origins);
}

#[test]
fn a_bad_file_of_the_users_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = sources(folder.path());
    sources.own = Some(folder.path().join("own"));
    // A good copy elsewhere must not hide it.
    write(&folder.path().join("cache/noise"), false);
    let own = folder.path().join("own/noise");
    write(&own, false);
    let bad = own.join(FILES[2]);
    spoil(&bad);
    let (dataset, _) = load(&sources);
    let bad = bad.display();
    assert_eq!(
        dataset.unwrap_err().to_string(),
        words(
            &format!(
                "The file {bad} (from SVERTKA_DATA) is bad: its content is not the right one (SHA-256 differs). \
                 Replace it, or remove it to have it looked for elsewhere."
            ),
            &format!(
                "Файл {bad} (из SVERTKA_DATA) испорчен: содержимое не то (SHA-256 не совпадает). \
                 Замените его или удалите: тогда он будет взят из другого места."
            )
        )
    );
}

#[test]
fn what_is_no_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = sources(folder.path());
    sources.own = Some(folder.path().join("own"));
    let bad = folder.path().join("own/noise").join(FILES[0]);
    fs::create_dir_all(&bad).unwrap();
    let (dataset, _) = load(&sources);
    let message = dataset.unwrap_err().to_string();
    assert!(
        message.contains(words("is bad: it is not a file.", "испорчен: это не файл.")),
        "{message}"
    );
}

#[test]
fn a_bad_file_elsewhere_is_said_and_passed_over() {
    for (place, sentence) in [
        (
            "cache",
            words(
                "The file {path} in the cache is bad: its content is not the right one (SHA-256 differs). \
                 It is fetched again.",
                "Файл {path} в кэше испорчен: содержимое не то (SHA-256 не совпадает). Он будет загружен заново.",
            ),
        ),
        (
            "system",
            words(
                "The file {path} is bad: its content is not the right one (SHA-256 differs). It is not used.",
                "Файл {path} испорчен: содержимое не то (SHA-256 не совпадает). Он не используется.",
            ),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(place).join("noise").join(FILES[0]);
        write(path.parent().unwrap(), false);
        spoil(&path);
        let (dataset, lines) = load(&sources(folder.path()));
        assert!(dataset.is_err());
        assert_eq!(
            lines,
            [sentence.replace("{path}", &path.display().to_string())]
        );
    }
}

#[test]
fn an_error_says_what_was_tried_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = sources(folder.path());
    sources.own = Some(folder.path().join("own"));
    let (dataset, _) = load(&sources);
    let message = dataset.unwrap_err().to_string();
    let root = folder.path().display();
    assert_eq!(
        message,
        words(
            &format!(
                "Noise could not be had: not in {root}/own/noise; not in {root}/cache/noise; not in \
                 {root}/system/noise. Try again when the network works, or put train-images-idx3-ubyte.gz, \
                 train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz into a folder \
                 noise and set SVERTKA_DATA to the folder that holds it."
            ),
            &format!(
                "Noise взять неоткуда: нет в {root}/own/noise; нет в {root}/cache/noise; нет в \
                 {root}/system/noise. Повторите, когда сеть заработает, или положите train-images-idx3-ubyte.gz, \
                 train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz в папку noise и \
                 укажите в SVERTKA_DATA папку, в которой она лежит."
            )
        )
    );
}

#[test]
fn a_sample_stands_in_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let mut whole = spec(&[]);
    whole.folder = "whole";
    whole.title = "Whole";
    whole.train = 60_000;
    let sample = spec(&[]);
    let mut notes = Notes::default();
    let outcome = super::load(&whole, Some(&sample), &sources, &mut notes);
    assert!(outcome.is_err(), "there is no sample yet");
    assert!(notes.lines.is_empty());

    write(&folder.path().join("cache/noise"), false);
    let dataset = super::load(&whole, Some(&sample), &sources, &mut notes).unwrap();
    assert_right(&dataset);
    assert_eq!(dataset.name, "Noise");
    let root = folder.path().display();
    let sentence = words(
        "The full Whole could not be had (not in {root}/cache/whole; not in {root}/system/whole): its sample is used, \
         300 images to train and 100 to test.",
        "Полный Whole взять неоткуда (нет в {root}/cache/whole; нет в {root}/system/whole): используется его часть, \
         изображений для обучения 300, для теста 100.",
    );
    assert_eq!(notes.lines, [sentence.replace("{root}", &root.to_string())]);

    // The full data, wherever they can be had, come first.
    let mut whole = spec(&[]);
    whole.folder = "whole";
    write(&folder.path().join("system/whole"), true);
    let mut notes = Notes::default();
    let dataset = super::load(&whole, Some(&sample), &sources, &mut notes).unwrap();
    assert!(
        dataset.origins[0].ends_with("system/whole"),
        "{:?}",
        dataset.origins
    );
    assert!(notes.lines.is_empty());

    // A sample with a bad file is none.
    fs::remove_dir_all(folder.path().join("system/whole")).unwrap();
    spoil(&folder.path().join("cache/noise").join(FILES[0]));
    let outcome = super::load(&whole, Some(&sample), &sources, &mut Notes::default());
    assert!(outcome.is_err());
}

#[test]
fn a_sample_is_found_in_every_folder() {
    for place in ["own", "cache", "system"] {
        let folder = tempfile::tempdir().unwrap();
        let mut sources = sources(folder.path());
        sources.own = Some(folder.path().join("own"));
        let mut whole = spec(&[]);
        whole.folder = "whole";
        write(&folder.path().join(place).join("noise"), false);
        let mut notes = Notes::default();
        let dataset = super::load(&whole, Some(&spec(&[])), &sources, &mut notes).unwrap();
        assert_right(&dataset);
        assert_eq!(notes.lines.len(), 1, "{place}");
    }
}

#[test]
fn a_dataset_shows_itself() {
    let folder = tempfile::tempdir().unwrap();
    let system = folder.path().join("system/noise");
    write(&system, true);
    let (dataset, _) = load(&sources(folder.path()));
    let system = system.display();
    assert_eq!(
        dataset.unwrap().to_string(),
        words(
            &format!(
                "Noise\n  train: images uint8 [300, 28, 28], labels int64 [300]\n  test: images uint8 [100, 28, 28], \
                 labels int64 [100]\n  classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 nine & <ten>\n  from: {system}\n  \
                 licence: CC0"
            ),
            &format!(
                "Noise\n  обучение: изображения uint8 [300, 28, 28], метки int64 [300]\n  тест: изображения uint8 \
                 [100, 28, 28], метки int64 [100]\n  классы: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 nine & <ten>\n  источник: \
                 {system}\n  лицензия: CC0"
            )
        )
    );
}

#[test]
fn labels_and_images_can_be_moved_out() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("cache/noise"), false);
    let dataset = load(&sources(folder.path())).0.unwrap();
    let (training_images, training_labels) = dataset.train;
    let (test_images, test_labels) = dataset.test;
    assert_eq!(training_images.size()[0], training_labels.size()[0]);
    assert_eq!(test_images.size()[0], test_labels.size()[0]);
}

/// The real digits, where the machine has them.
#[test]
fn mnist_loads_from_a_cache_in_under_a_second() {
    let Some(own) = std::env::var_os("SVERTKA_DATA") else {
        println!("skipped: SVERTKA_DATA is not set");
        return;
    };
    if names(&Path::new(&own).join("mnist")).is_empty() {
        println!("skipped: no mnist in SVERTKA_DATA");
        return;
    }
    let dataset = mnist().unwrap();
    assert_eq!(dataset.name, "MNIST");
    assert_eq!(dataset.train.0.size(), [60_000, 28, 28]);
    assert_eq!(dataset.test.0.size(), [10_000, 28, 28]);
    let first: Vec<i64> = Vec::try_from(dataset.test.1.narrow(0, 0, 10)).unwrap();
    assert_eq!(first, [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    let counts = dataset.train.1.bincount::<tch::Tensor>(None, 10);
    let counts: Vec<i64> = Vec::try_from(counts).unwrap();
    assert_eq!(
        counts,
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    );

    // Fashion-MNIST's files are as long as these; only the hashes differ.
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache/mnist");
    fs::create_dir_all(&cache).unwrap();
    for name in FILES {
        let packed = fs::File::open(Path::new(&own).join(format!("mnist/{name}.gz"))).unwrap();
        let mut plain = fs::File::create(cache.join(name)).unwrap();
        std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut plain).unwrap();
    }
    let sources = sources(folder.path());
    let best = (0..3)
        .map(|_| {
            let start = Instant::now();
            super::load(&MNIST, None, &sources, &mut Notes::default()).unwrap();
            start.elapsed()
        })
        .min();
    println!("loaded from a cache in {best:?}");
    assert!(best < Some(Duration::from_secs(1)), "{best:?}");
}
