//! Figures speak the learner's language and can be looked at from outside: file, notebook, terminal.

use std::process::Command;

use svertka::prelude::*;

/// A net of two layers and two images for it.
fn net() -> (Sequential, Tensor) {
    let model = Sequential::new([conv2d(2, (3, 3), Relu), flatten(), dense(3, Softmax)])
        .input_shape([1, 12, 12]);
    let images = Tensor::arange(288, (Kind::Float, Device::Cpu)).reshape([2, 1, 12, 12]);
    (model, images)
}

/// Runs the test `speak` of this file in a process of its own, which reads its language anew.
fn speak(language: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "speak_for_other_tests",
            "--ignored",
            "--nocapture",
        ])
        .env("SVERTKA_LANG", language)
        .env_remove("SVERTKA_KERNEL")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "its output is read by other tests"]
fn speak_for_other_tests() {
    let (model, images) = net();
    println!("{}", activation_grid(&model, &images, [0], 7).unwrap_err());
    let figure = activation_grid(&model, &images, [0, 1], 1).unwrap();
    figure.show().unwrap();
    println!("{}", figure.save("figure.gif").unwrap_err());
    println!("{}", figure.svg().unwrap());
    figure.evcxr_display();
}

#[test]
fn figures_speak_english() {
    let said = speak("en");
    for text in [
        "layer 1 (conv2d) has no filter 7: its filters are numbered from 0 to 1\n",
        "Picture: activations, images: 2, layers: 1, ",
        "figure.gif: a figure is saved as .png or .svg; let the file's name end in one of them\n",
        "Filter 1: what each layer makes of the image\n",
        "image 1\n",
    ] {
        assert!(said.contains(text), "{text} in {said}");
    }
    assert!(!said.contains(|letter| ('а'..='я').contains(&letter)));
}

#[test]
fn figures_speak_russian() {
    let said = speak("ru");
    for text in [
        "слой 1 (conv2d): фильтра 7 нет, номера фильтров — от 0 до 1\n",
        "Рисунок: активации, изображений: 2, слоёв: 1, ",
        "figure.gif: рисунок сохраняется как .png или .svg; закончите имя файла на одно из них\n",
        "Фильтр 1: что делает с изображением каждый слой\n",
        "№ 1\n",
    ] {
        assert!(said.contains(text), "{text} in {said}");
    }
}

#[test]
fn a_figure_that_ends_a_cell_is_png_and_text() {
    let said = speak("en");
    let (_, png) = said.split_once("EVCXR_BEGIN_CONTENT image/png\n").unwrap();
    // The PNG signature in base64.
    assert!(png.starts_with("iVBORw0KGgo"), "{}", &png[..40]);
    let (_, text) = said.split_once("EVCXR_BEGIN_CONTENT text/plain\n").unwrap();
    assert!(text.starts_with("Picture: "), "{text}");
}

#[test]
fn png_has_the_size_that_the_figure_tells() {
    let (model, images) = net();
    let figure = activation_grid(&model, &images, [0, 1], 0).unwrap();
    let png = figure.png().unwrap();
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!(figure.size(), (number(16), number(20)));
}
