//! What a model computes on a GPU is as usable as what it computes on the CPU. CI has no GPU: where there is one, all tests of
//! the crate run on it.

mod common;

use svertka::prelude::*;

use common::{digits, small_net};

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
