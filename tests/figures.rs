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
        " pixels. Activation grid of filter 1: images 0 (",
        "figure.gif: a figure is saved as .png or .svg; let the file's name end in one of them\n",
        "\nFilter 1: what each layer makes of the image\n</text>",
        "\nimage 1\n</text>",
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
        " пикселей. Сетка активаций фильтра 1: изображения 0 (",
        "figure.gif: рисунок сохраняется как .png или .svg; закончите имя файла на одно из них\n",
        "\nФильтр 1: что делает с изображением каждый слой\n</text>",
        "\n№ 1\n</text>",
    ] {
        assert!(said.contains(text), "{text} in {said}");
    }
}

/// The number at this place of a PNG's head: 16 is the width, 20 the height.
fn number(png: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(png[at..at + 4].try_into().unwrap())
}

/// What the figure that ended the cell of `speak` is in this form.
fn content<'a>(said: &'a str, mime: &str) -> &'a str {
    let begin = format!("EVCXR_BEGIN_CONTENT {mime}\n");
    let (_, content) = said.split_once(&begin).unwrap();
    content.split_once("\nEVCXR_END_CONTENT").unwrap().0
}

#[test]
fn a_figure_that_ends_a_cell_is_html_png_and_text() {
    let said = speak("en");
    let png = content(&said, "image/png");
    // The PNG signature in base64.
    assert!(png.starts_with("iVBORw0KGgo"), "{}", &png[..40]);
    let html = content(&said, "text/html");
    assert!(html.starts_with("<img alt=\"Activation grid of filter 1: "));
    assert!(html.ends_with(&format!("src=\"data:image/png;base64,{}\">", png.trim())));
    let text = content(&said, "text/plain");
    assert!(text.starts_with("Picture, "), "{text}");
}

#[test]
fn a_png_is_twice_as_large_as_it_is_shown() {
    let (model, images) = net();
    let figure = activation_grid(&model, &images, [0, 1], 0).unwrap();
    let (width, height) = figure.size();
    let png = figure.png().unwrap();
    assert_eq!(
        (number(&png, 16), number(&png, 20)),
        (2 * width, 2 * height)
    );
    let svg = figure.svg().unwrap();
    assert!(svg.contains(&format!("width=\"{width}\" height=\"{height}\"")));
    assert!((400..=960).contains(&width), "{width}");
}

/// The figure, shown in svertka's kernel.
#[test]
fn a_figure_is_shown_at_half_its_size() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "speak_for_other_tests",
            "--ignored",
            "--nocapture",
        ])
        .env("SVERTKA_KERNEL", "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, message) = said.split_once("\u{1e}svertka ").unwrap();
    let message: serde_json::Value = serde_json::from_str(message.lines().next().unwrap()).unwrap();
    let (model, images) = net();
    let (width, height) = activation_grid(&model, &images, [0, 1], 1).unwrap().size();
    let metadata = serde_json::json!({"image/png": {"width": width, "height": height}});
    assert_eq!(message["metadata"], metadata);
    let html = message["data"]["text/html"].as_str().unwrap();
    assert!(
        html.contains(&format!(" width=\"{width}\"")),
        "{}",
        &html[..200]
    );
}
