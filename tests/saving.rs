//! A model in a file: nothing is lost on the way, and a file that isn't right is said to be wrong.

mod common;

use std::process::Command;

use common::{digits, lesson_cnn, message, small_net, values};
use svertka::prelude::*;

fn silent(epochs: i64) -> Fit {
    Fit::epochs(epochs)
        .verbosity(Verbosity::Silent)
        .shuffle(false)
}

fn weights(model: &Sequential) -> Vec<f32> {
    model
        .weights()
        .unwrap()
        .iter()
        .flat_map(|(_, weight)| values(weight))
        .collect()
}

#[test]
fn a_loaded_model_predicts_and_learns_on_alike() {
    let (images, labels) = digits(100);
    let folder = tempfile::tempdir().unwrap();
    for (name, optimizer) in [
        ("adam", Optimizer::from(Adam::new(0.01))),
        ("sgd", Sgd::new(0.01).momentum(0.9).into()),
        ("plain", Sgd::new(0.01).into()),
    ] {
        let path = folder.path().join(name);
        let mut model = Sequential::new([
            conv2d(4, (5, 3), Relu).strides((2, 1)).padding(Same),
            max_pooling2d(3, (1, 2)).padding(Same),
            max_pooling2d((2, 3), 2),
            flatten(),
            dense(10, Softmax),
        ]);
        model.compile(optimizer, SparseCategoricalCrossentropy);
        model.fit(&images, &labels, silent(2)).unwrap();
        model.save(&path).unwrap();
        let mut loaded = Sequential::load(&path).unwrap();
        assert_eq!(loaded.layers(), model.layers());
        assert!(weights(&loaded) == weights(&model), "{name}");
        let (a, b) = (
            model.predict(&images).unwrap(),
            loaded.predict(&images).unwrap(),
        );
        assert!(values(&a) == values(&b), "{name}");
        for model in [&mut model, &mut loaded] {
            model.fit(&images, &labels, silent(1)).unwrap();
        }
        assert_eq!(
            weights(&loaded),
            weights(&model),
            "{name}: the optimizer's state"
        );
    }
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 3, "nothing else is left in the folder");
}

#[test]
fn a_model_that_is_not_compiled_is_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let model = Sequential::new([flatten(), dropout(0.5), dense(3, Linear)]).input_shape([2, 2]);
    model.save(&path).unwrap();
    let mut loaded = Sequential::load(&path).unwrap();
    assert_eq!(loaded.layers(), model.layers());
    let (images, labels) = (
        Tensor::zeros([4, 2, 2], (Kind::Float, Device::Cpu)),
        Tensor::zeros([4], (Kind::Int64, Device::Cpu)),
    );
    let text = message(loaded.fit(&images, &labels, silent(1)));
    assert!(text.contains("compile"), "{text}");
}

/// What svertka 0.1 wrote when it made its JSON by hand: the key order, and numbers as they stood there.
const FIRST_FORM: &str = r#"{"compiled":{"learning_rate":0.005,"loss":"sparse_categorical_crossentropy","optimizer":OPTIMIZER,"steps":2},"input_shape":[1,28,28],"layers":[{"activation":"tanh","filters":2,"kernel":[5,3],"layer":"conv2d"},{"layer":"max_pooling2d","pool":[3,2]},{"layer":"flatten"},{"layer":"dropout","rate":0.0},{"activation":"sigmoid","layer":"dense","units":3},{"activation":"linear","layer":"dense","units":7},{"activation":"relu","layer":"dense","units":7},{"activation":"softmax","layer":"dense","units":10}],"version":1}"#;

#[test]
fn a_file_of_the_first_form_loads_and_learns_on() {
    let adam = r#"{"beta_1":0.9,"beta_2":0.999,"epsilon":1e-7,"learning_rate":0.01,"name":"adam"}"#;
    let sgd = r#"{"learning_rate":0.5,"momentum":0.9,"name":"sgd"}"#;
    let (images, labels) = digits(64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    for (form, optimizer) in [
        (adam, Optimizer::from(Adam::new(0.01))),
        (sgd, Sgd::new(0.5).momentum(0.9).into()),
    ] {
        let mut model = Sequential::new([
            conv2d(2, (5, 3), Tanh),
            max_pooling2d((3, 2), (3, 2)),
            flatten(),
            dropout(0.0),
            dense(3, Sigmoid),
            dense(7, Linear),
            dense(7, Relu),
            dense(10, Softmax),
        ]);
        model.compile(optimizer, SparseCategoricalCrossentropy);
        let schedule = |_, _| 0.005;
        let fit = silent(1).batch_size(32);
        let fit = fit.callback(LearningRateSchedule::new(schedule));
        model.fit(&images, &labels, fit).unwrap();
        model.save(&path).unwrap();
        // The same tensors, with the metadata as they were.
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let about = FIRST_FORM.replace("OPTIMIZER", form);
        let metadata = std::collections::HashMap::from([("svertka".to_string(), about)]);
        safetensors::serialize_to_file(file.tensors(), &Some(metadata), &path).unwrap();

        let mut loaded = Sequential::load(&path).unwrap();
        assert_eq!(loaded.layers(), model.layers());
        for model in [&mut model, &mut loaded] {
            model.fit(&images, &labels, silent(1)).unwrap();
        }
        // Weights, moments, their steps and the learning rate, else this epoch would end elsewhere.
        assert_eq!(weights(&loaded), weights(&model), "{form}");
    }
}

#[test]
fn each_epoch_is_saved() {
    let (images, labels) = digits(64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let mut model = small_net();
    let (seen, watched) = (std::rc::Rc::new(std::cell::Cell::new(0)), path.clone());
    let count = seen.clone();
    let fit = silent(3).save_each_epoch(&path).on_epoch_end(move |epoch| {
        // The epoch before lies in the file while this one runs.
        assert_eq!(watched.exists(), epoch.number > 1);
        count.set(count.get() + 1);
        std::ops::ControlFlow::Continue(())
    });
    model.fit(&images, &labels, fit).unwrap();
    assert_eq!(seen.get(), 3);
    assert!(weights(&Sequential::load(&path).unwrap()) == weights(&model));
    let text = message(model.fit(&images, &labels, silent(1).save_each_epoch("/no/such/m")));
    assert!(text.contains("/no/such"), "{text}");
}

#[test]
fn damaged_files_name_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    small_net().save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let text = message(Sequential::load(&path));
        assert!(
            !text.contains('\n') && text.contains("m.safetensors"),
            "{text}"
        );
        text
    };
    for bytes in [
        &b""[..],
        b"PK\x03\x04",
        &whole[..whole.len() - 1],
        &whole[..100],
        &[0xff; 64],
    ] {
        assert!(load(bytes).contains("safetensors"));
    }
    let replace = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = whole
            .windows(from.len())
            .position(|part| part == from.as_bytes())
            .unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let text = load(&replace("\"dense.bias\"", "\"dense.bios\""));
    assert!(
        text.contains("dense.bias") && text.contains("[10]"),
        "{text}"
    );
    let text = load(&replace("[4,1,3,3]", "[4,3,1,3]"));
    assert!(
        text.contains("conv2d.kernel") && text.contains("[4, 1, 3, 3]"),
        "{text}"
    );
    let text = load(&replace("\\\"version\\\":1", "\\\"version\\\":7"));
    assert!(text.contains('7'), "{text}");
    let text = load(&replace("\"svertka\"", "\"another\""));
    assert!(!text.is_empty());
    let mut bytes = whole.clone();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let text = load(&bytes);
    assert!(text.contains("NaN"), "{text}");
}

#[test]
fn any_cut_and_any_flipped_byte_is_an_error_or_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    Sequential::new([flatten(), dense(2, Softmax)])
        .input_shape([2, 2])
        .save(&path)
        .unwrap();
    let whole = std::fs::read(&path).unwrap();
    for i in 0..whole.len() {
        std::fs::write(&path, &whole[..i]).unwrap();
        assert!(Sequential::load(&path).is_err(), "cut at {i}");
        let mut bytes = whole.clone();
        bytes[i] ^= 0x11;
        std::fs::write(&path, &bytes).unwrap();
        if let Err(error) = Sequential::load(&path) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

#[test]
fn paths_that_can_not_be() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_net();
    for path in [
        folder.path().to_path_buf(),
        folder.path().join("none/m"),
        "/".into(),
        "".into(),
    ] {
        let text = message(model.save(&path));
        assert!(!text.contains('\n'), "{text}");
        message(Sequential::load(&path));
    }
    let path = folder.path().join("m");
    std::fs::write(&path, "old").unwrap();
    let none = Sequential::new([flatten(), dense(2, Softmax)]);
    message(none.save(&path));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

#[test]
fn a_disk_that_is_full_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    std::fs::write(&path, "old").unwrap();
    // No file may grow beyond a kibibyte: writing fails in the middle.
    let output = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "bash"])
        .arg(std::env::current_exe().unwrap())
        .args(["save_once", "--exact", "--ignored", "--nocapture"])
        .env("SVERTKA_TEST_PATH", &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("said: ") && said.contains("File too large"),
        "{output:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
#[ignore = "the process that may not write"]
fn save_once() {
    if let Some(path) = std::env::var_os("SVERTKA_TEST_PATH") {
        println!("said: {}", message(lesson_cnn().save(path)));
    }
}

/// How often a process that saves over and over is killed.
fn kills() -> usize {
    std::env::var("SVERTKA_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10)
}

#[test]
fn a_process_killed_while_it_saves_leaves_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    lesson_cnn().save(&path).unwrap();
    for i in 0..kills() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["save_for_ever", "--exact", "--ignored", "--quiet"])
            .env("SVERTKA_TEST_PATH", &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(
            300 + (i as u64 * 7919) % 400,
        ));
        child.kill().unwrap();
        child.wait().unwrap();
        Sequential::load(&path).unwrap();
    }
    // What it was writing is left, under a hidden name.
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let part = name.starts_with(".m.safetensors.") && name.ends_with(".part");
        assert!(part || name == "m.safetensors", "{name}");
    }
}

#[test]
#[ignore = "the process that is killed"]
fn save_for_ever() {
    let Some(path) = std::env::var_os("SVERTKA_TEST_PATH") else {
        return;
    };
    let model = lesson_cnn();
    loop {
        model.save(&path).unwrap();
    }
}
