//! What a model computes on a GPU is as usable as what it computes on the CPU. CI has no GPU: where there is one, all tests of
//! the crate run on it.

mod common;

use std::process::Command;

use svertka::prelude::*;

use common::{digits, message, printed_in, printed_on_device, small_net};

/// What the ignored test `name` says after "says: " where `SVERTKA_DEVICE` is `device`.
fn said(name: &str, device: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env("SVERTKA_DEVICE", device)
        .env("SVERTKA_LANG", "en")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let said = printed
        .split_once("says: ")
        .map(|(_, rest)| rest.split('\u{c}').next());
    said.flatten()
        .unwrap_or_else(|| panic!("{printed}"))
        .to_string()
}

/// Seeding asks libtorch about CUDA, and libtorch remembers the first answer.
#[test]
fn a_seed_before_the_first_model_hides_no_gpu() {
    let device = said("tells_the_device", "");
    assert_eq!(said("seeds_and_tells_the_device", ""), device);
}

#[test]
fn a_gpu_that_is_not_there_is_one_short_line() {
    let said = said("makes_a_model", "cuda:99");
    assert!(
        said.starts_with("SVERTKA_DEVICE asks for cuda:99, but"),
        "{said}"
    );
    assert!(said.len() < 200 && !said.contains('\n'), "{said}");
}

#[test]
#[ignore = "prints for the tests above"]
fn tells_the_device() {
    print!("says: {}\u{c}", versions().device);
}

#[test]
#[ignore = "prints for the tests above"]
fn seeds_and_tells_the_device() {
    seed(1);
    print!("says: {}\u{c}", versions().device);
}

#[test]
#[ignore = "prints for the tests above"]
fn makes_a_model() {
    print!("says: {}\u{c}", message(small_net().summary()));
}

/// The weights and the order of the images are drawn alike: only rounding makes a difference.
#[test]
fn a_seed_gives_every_device_the_same_training() {
    let loss = |printed: String| {
        let number = printed.split("loss: ").nth(1).unwrap_or_default();
        number
            .split('\u{c}')
            .next()
            .and_then(|number| number.parse::<f64>().ok())
    };
    let here = loss(printed_in("en", "trains")).unwrap();
    let there = loss(printed_on_device("en", "trains")).unwrap();
    assert!((here - there).abs() < 1e-3, "{here}, {there}");
}

#[test]
#[ignore = "prints for a_seed_gives_every_device_the_same_training"]
fn trains() {
    seed(3);
    let (images, labels) = digits(400);
    let history = small_net().fit(&images, &labels, Fit::epochs(1)).unwrap();
    print!("loss: {}\u{c}", history.epochs[0].loss);
}

/// A learner's own tensors are on the CPU: results that are not can't be held against them.
#[test]
fn results_are_on_the_cpu() {
    let (images, labels) = digits(8);
    let model = small_net();
    let named = [
        model.weights().unwrap(),
        model.gradients(&images, &labels).unwrap(),
    ];
    let outputs = model.activations(&images).unwrap().into_iter();
    let tensors = named.into_iter().flatten().map(|(_, tensor)| tensor);
    for tensor in tensors.chain(outputs.map(|layer| layer.output)) {
        assert_eq!(tensor.device(), Device::Cpu);
    }
    let predicted = model.predict(&images).unwrap().argmax(-1, false);
    let correct = predicted.eq_tensor(&labels).sum(Kind::Double) / 8.0;
    let score = model.evaluate(&images, &labels).unwrap();
    assert_eq!(score.accuracy, correct.double_value(&[]));
}

#[test]
fn images_may_lie_on_the_gpu() {
    let (images, labels) = digits(64);
    let mut model = small_net();
    // Asked for after the model is made: libtorch's CUDA half is loaded with it.
    if !tch::Cuda::is_available() {
        println!("skipped: no GPU");
        return;
    }
    let there = images.to_device(Device::Cuda(0));
    let labels_there = labels.to_device(Device::Cuda(0));
    model
        .set_weights(&[(
            "dense.bias",
            Tensor::ones([10], (Kind::Float, Device::Cuda(0))),
        )])
        .unwrap();
    let settings = || Fit::epochs(1).validation(&there, &labels);
    model.fit(&there, &labels_there, settings()).unwrap();
    model.fit(&images, &labels_there, settings()).unwrap();
    model.train_on_batch(&there, &labels).unwrap();
    let here = model.evaluate(&images, &labels).unwrap();
    assert_eq!(model.evaluate(&there, &labels).unwrap(), here);
    assert_eq!(
        model.predict(&there).unwrap(),
        model.predict(&images).unwrap()
    );
    for figure in [
        activation_grid(&model, &there, [0, 1, 2], 1),
        gallery(&there, &labels_there),
    ] {
        assert!(!figure.unwrap().png().unwrap().is_empty());
    }
}

#[test]
fn what_has_no_room_in_memory_is_refused_in_one_line() {
    let (images, labels) = digits(200);
    // A batch of 128 images would be 355 TB.
    let mut model = Sequential::new([
        conv2d(1 << 20, (1, 1), Relu),
        max_pooling2d(28, 28),
        flatten(),
        dense(10, Softmax),
    ]);
    model.compile(Sgd::default(), SparseCategoricalCrossentropy);
    let said = message(model.fit(&images, &labels, Fit::epochs(1).batch_size(128)));
    assert!(said.contains("memory") && !said.contains('\n'), "{said}");
    let said = message(model.predict(&images));
    assert!(said.contains("memory"), "{said}");
    // The device still works.
    small_net().fit(&images, &labels, Fit::epochs(1)).unwrap();
}
