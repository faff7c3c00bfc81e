//! The explorer: what it refuses, what its page holds. What the page computes and how it is used is tested in a browser
//! (`tests/browser/test_explorer.py`, for which the ignored tests here write pages), its modules alone in Node
//! (`tests/explorer/`).

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{lesson_cnn, message, printed_in, small_net};
use svertka::prelude::*;

/// Real pictures of clothes, scaled: the first `n` of the test set, `[n, 1, 28, 28]`, and their labels.
fn clothes(n: i64) -> (Tensor, Tensor) {
    let (images, labels) = datasets::fashion_mnist().unwrap().test;
    let images = images.narrow(0, 0, n).reshape([-1, 1, 28, 28]) / 255.0;
    (images, labels.narrow(0, 0, n))
}

/// What `.save` writes.
fn page(explorer: &Explorer) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    explorer.save(&path).unwrap();
    std::fs::read_to_string(path).unwrap()
}

/// The page's data.
fn data(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("type=\"application/json\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn the_lessons_page_is_small_and_whole() {
    let (images, labels) = clothes(100);
    let explorer = explore(&lesson_cnn(), &images).unwrap();
    let explorer = explorer.labels(&labels).unwrap().names(["a", "b", "c"]);
    let page = page(&explorer);
    assert!(page.len() <= 1_400_000, "{} bytes", page.len());
    let data = data(&page);
    let code = page.len() - data.to_string().len();
    assert!(code <= 60_000, "code: {code} bytes");
    assert_eq!(data["images"].as_array().unwrap().len(), 32);
    assert_eq!(data["images"][0]["label"], 9);
    // The images are what they were, a byte a pixel.
    assert_eq!(data["divisor"], 255.0);
    assert_eq!(data["layers"][2]["name"], "conv2d_1");
    assert_eq!(data["layers"][2]["padding"], "valid");
    // All places are filled in, and the modules are one script.
    assert!(!page.contains("{{"));
    assert!(page.contains("aria-label=\"Drawing\"") || page.contains("aria-label=\"Рисование\""));
    for line in page.lines() {
        assert!(
            !line.starts_with("import ") && !line.starts_with("export "),
            "{line}"
        );
    }
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("//#"));
}

/// Half a second is promised for a crate that is optimized, as a notebook's is. This one isn't, and the machine may have other
/// work: the quickest of several answers gets five times that.
#[test]
fn a_cell_answers_at_once() {
    let (images, _) = clothes(32);
    let model = lesson_cnn();
    let mut times = [(); 5].map(|()| {
        let begin = Instant::now();
        explore(&model, &images).unwrap().evcxr_display();
        begin.elapsed().as_secs_f64()
    });
    times.sort_by(f64::total_cmp);
    println!("quickest {:.2} s, median {:.2} s", times[0], times[2]);
    assert!(times[0] <= 2.5, "{times:?} s");
}

#[test]
fn chosen_images_are_the_ones_on_the_page() {
    let (images, labels) = clothes(40);
    let explorer = explore(&small_net(), &images).unwrap();
    let explorer = explorer.indices([39, 2]).unwrap().labels(&labels).unwrap();
    let data = data(&page(&explorer));
    for (place, index) in [39, 2].into_iter().enumerate() {
        let label = i64::try_from(labels.get(index)).unwrap();
        let image = &data["images"][place];
        assert_eq!(image["label"], label);
        let name = image["name"].as_str().unwrap();
        assert!(name.ends_with(&format!(" {index} · {label}")), "{name}");
    }
}

#[test]
fn numbers_that_are_no_bytes_are_kept_as_they_are() {
    let (images, _) = clothes(2);
    let of = |images: &Tensor| data(&page(&explore(&small_net(), images).unwrap()));
    let (bytes, thirds, raw) = (
        of(&images),
        of(&(&images / 3.0)),
        of(&(&images * 255.0).round()),
    );
    assert_eq!(bytes["divisor"], 255.0);
    assert_eq!(raw["divisor"], 1.0);
    assert_eq!(raw["pixels"], bytes["pixels"]);
    assert!(thirds["divisor"].is_null());
    let length = |data: &serde_json::Value| data["pixels"].as_str().unwrap().len();
    assert!(length(&thirds) > 3 * length(&bytes));
}

#[test]
fn names_can_not_end_a_script() {
    let (images, _) = clothes(2);
    let hostile = "</script><img src=x onerror=alert(1)>{{code}}";
    let explorer = explore(&small_net(), &images).unwrap().names([hostile]);
    let page = page(&explorer);
    assert!(!page.contains("<img"));
    assert_eq!(page.matches("</script").count(), 2);
    assert_eq!(data(&page)["names"][0], hostile);
}

#[test]
fn a_model_is_explored_as_it_was() {
    let (images, _) = clothes(4);
    let mut model = small_net();
    let explorer = explore(&model, &images).unwrap();
    let before = page(&explorer);
    let zeros = Tensor::zeros([4], (Kind::Float, Device::Cpu)) + 1.0;
    model.set_weights(&[("conv2d.bias", zeros)]).unwrap();
    assert_eq!(page(&explorer), before);
    assert_ne!(page(&explore(&model, &images).unwrap()), before);
}

#[test]
fn exploring_draws_no_random_numbers() {
    let (images, _) = clothes(1);
    let next = |look: bool| {
        let model = small_net();
        seed(5);
        if look {
            page(&explore(&model, &images).unwrap());
        }
        f64::try_from(Tensor::rand([1], (Kind::Float, Device::Cpu))).unwrap()
    };
    assert_eq!(next(true), next(false));
}

#[test]
fn every_kind_of_model_can_be_shown() {
    let images = Tensor::rand([3, 5], (Kind::Float, Device::Cpu));
    let rows = Sequential::new([dense(3, Softmax)]).input_shape([5]);
    let flat = Sequential::new([flatten(), dense(3, Linear)]).input_shape([2, 4, 4]);
    let deep = Sequential::new([conv2d(3, 3, Softmax)]).input_shape([1, 6, 6]);
    let shaped = |shape: &[i64]| Tensor::rand(shape, (Kind::Float, Device::Cpu));
    for (model, images) in [
        (rows, images),
        (flat, shaped(&[3, 2, 4, 4])),
        (deep, shaped(&[3, 1, 6, 6])),
    ] {
        let explorer = explore(&model, &images).unwrap();
        explorer.show().unwrap();
        explorer.evcxr_display();
        assert!(page(&explorer).contains("id=\"layers\""));
    }
}

#[test]
#[ignore = "its output is read by other tests"]
fn make_mistakes() {
    let (images, labels) = clothes(40);
    let say = |said: String| println!("{said}");
    let model = small_net();
    say(message(explore(
        &Sequential::new([dense(10, Softmax)]),
        &images,
    )));
    say(message(explore(&model, &images.reshape([-1, 28, 28]))));
    say(message(explore(&model, &images.narrow(0, 0, 0))));
    let explorer = || explore(&model, &images).unwrap();
    say(message(explorer().indices([])));
    say(message(explorer().indices([0, 40])));
    say(message(explorer().indices(0..33)));
    say(message(explorer().labels(&labels.narrow(0, 0, 39))));
    say(message(explorer().save("network.txt")));
    say(message(explorer().save("nowhere/network.html")));
    let wide = Sequential::new([flatten(), dense(4000, Relu), dense(10, Softmax)]);
    let wide = wide.input_shape([1, 28, 28]);
    say(message(explore(&wide, &images)));
    let slow =
        Sequential::new([conv2d(64, 3, Relu), conv2d(64, 3, Relu)]).input_shape([1, 100, 100]);
    let large = Tensor::zeros([1, 1, 100, 100], (Kind::Float, Device::Cpu));
    say(message(explore(&slow, &large)));
    say(explorer().to_string());
}

#[test]
fn mistakes_are_told_in_one_line_of_english() {
    let said = printed_in("en", "make_mistakes");
    for text in [
        "the model has no weights yet",
        "the images have the shape [40, 28, 28], but one image of the model is [1, 28, 28]",
        "there are no images",
        "no image is chosen: give the numbers of some, from 0 to 39\n",
        "there is no image 40: they are numbered from 0 to 39\n",
        "33 images are chosen, and the page has room for 32: choose fewer\n",
        "40 images but 39 labels",
        "network.txt: the page is saved as .html; let the file's name end so\n",
        "the folder nowhere does not exist",
        "the model has 3,180,010 parameters, and a page that everyone can open holds at most 3,000,000",
        "one image takes the model 345,270,528 multiplications, and a page keeps up with at most 200,000,000",
        "\nA network to explore: layers 4, parameters ",
    ] {
        assert!(said.contains(text), "{text} in {said}");
    }
}

#[test]
fn mistakes_are_told_in_one_line_of_russian() {
    let said = printed_in("ru", "make_mistakes");
    for text in [
        "выбрано изображений: 33, а на странице помещается 32; выберите меньше\n",
        "network.txt: страница сохраняется как .html; закончите имя файла так\n",
        "в модели параметров: 3\u{a0}180\u{a0}010, а на страницу, которая откроется у всех, помещается не больше 3\u{a0}000\u{a0}000",
        "уходит умножений: 345\u{a0}270\u{a0}528",
    ] {
        assert!(said.contains(text), "{text} in {said}");
    }
}

/// The folder for the pages of the test in a browser.
fn pages() -> PathBuf {
    PathBuf::from(std::env::var("SVERTKA_PAGES").expect("SVERTKA_PAGES names a folder"))
}

/// Writes pages with 25 of these images each, and what the layers give for all of them.
fn write(folder: &Path, name: &str, model: &Sequential, images: &Tensor) {
    let count = images.size()[0];
    for first in (0..count).step_by(25) {
        let explorer = explore(model, images).unwrap();
        let explorer = explorer.indices(first..(first + 25).min(count)).unwrap();
        explorer
            .save(folder.join(format!("{name}-{first}.html")))
            .unwrap();
    }
    let outputs = model.activations(images).unwrap();
    let outputs: Vec<_> = outputs
        .into_iter()
        .map(|it| (it.name, it.output.contiguous()))
        .collect();
    Tensor::write_safetensors(&outputs, folder.join(format!("{name}.safetensors"))).unwrap();
}

/// Trained for a moment, so that the weights are no chance.
fn trained(mut model: Sequential, images: &Tensor, labels: &Tensor) -> Sequential {
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    let fit = Fit::epochs(1).verbosity(Verbosity::Silent);
    model.fit(images, labels, fit).unwrap();
    model
}

#[test]
#[ignore = "writes pages for the test in a browser"]
fn write_pages() {
    let folder = pages();
    seed(1);
    let (images, labels) = clothes(2000);
    let tested = images.narrow(0, 0, 100);
    let start = |layers: Vec<Layer>| Sequential::new(layers).input_shape([1, 28, 28]);
    let lesson = trained(lesson_cnn(), &images, &labels);
    let last = vec![
        conv2d(16, (3, 3), Relu),
        max_pooling2d(2, 2),
        flatten(),
        dense(128, Relu),
        dense(10, Softmax),
    ];
    let plain = vec![
        flatten(),
        dense(128, Relu),
        dropout(0.2),
        dense(10, Softmax),
    ];
    let odd = vec![
        conv2d(6, (5, 3), Tanh).padding(Same).strides((2, 1)),
        max_pooling2d((3, 2), (2, 2)).padding(Same),
        conv2d(8, (2, 4), Sigmoid),
        dropout(0.2),
        flatten(),
        dense(20, Tanh),
        dense(10, Linear),
    ];
    let padded = vec![
        conv2d(4, 5, Linear).padding(Same),
        max_pooling2d(3, 2),
        conv2d(5, 4, Relu).padding(Same).strides((3, 2)),
        flatten(),
        dense(10, Softmax),
    ];
    for (name, layers) in [
        ("last", last),
        ("plain", plain),
        ("odd", odd),
        ("padded", padded),
    ] {
        write(
            &folder,
            name,
            &trained(start(layers), &images, &labels),
            &tested,
        );
    }
    // Three channels, and numbers that are no bytes.
    let colored = Tensor::cat(
        &[
            &tested / 3.0,
            tested.transpose(2, 3) * 0.7,
            tested.flip([3]),
        ],
        1,
    );
    let layers = [
        conv2d(5, 3, Relu),
        max_pooling2d(2, 2),
        conv2d(6, 3, Softmax),
    ];
    write(
        &folder,
        "colored",
        &Sequential::new(layers).input_shape([3, 28, 28]),
        &colored,
    );

    write(&folder, "lesson", &lesson, &tested);
    let names = datasets::fashion_mnist().unwrap().class_names;
    let explorer = explore(&lesson, &images)
        .unwrap()
        .names(names)
        .labels(&labels)
        .unwrap();
    explorer.save(folder.join("page.html")).unwrap();
    // The cell's result, for a notebook.
    explorer.evcxr_display();
}

#[test]
#[ignore = "writes a page for the test in a browser"]
fn write_hostile_page() {
    let (images, labels) = clothes(3);
    let names = (0..10).map(|i| {
        format!("<b onclick=alert(1)>{i}</b></script><script>alert(1)</script>{{{{title}}}}")
    });
    let explorer = explore(&small_net(), &images).unwrap().names(names);
    let explorer = explorer.labels(&labels).unwrap();
    explorer.save(pages().join("hostile.html")).unwrap();
}
