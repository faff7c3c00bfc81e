//! The page: its data as JSON, its modules as one script, all in one file.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Explorer;
use crate::Result;
use crate::figures::numbers;
use crate::model::{LayerPlan, thousands};
use crate::session::display::escape;
use crate::session::texts::{self, Language, language};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const NOTEBOOK: &str = include_str!("page/notebook.js");
/// In an order in which each only uses those before it.
const MODULES: [&str; 10] = [
    include_str!("page/network.mjs"),
    include_str!("page/drawing.mjs"),
    include_str!("page/painting.mjs"),
    include_str!("page/dom.mjs"),
    include_str!("page/pictures.mjs"),
    include_str!("page/editor.mjs"),
    include_str!("page/inspector.mjs"),
    include_str!("page/filters.mjs"),
    include_str!("page/layers.mjs"),
    include_str!("page/main.mjs"),
];

/// The whole page.
pub(super) fn page(explorer: &Explorer) -> Result<String> {
    let language = match language() {
        Language::English => "en",
        Language::Russian => "ru",
    };
    let summary = explorer.model.summary()?;
    let about = texts::explorer_about(summary.rows.len(), thousands(summary.total));
    let mut parts = BTreeMap::from(words().map(|(name, text)| (name, escape(&text))));
    parts.extend([
        ("language", language.to_string()),
        ("style", STYLE.to_string()),
        ("about", escape(&about)),
        ("data", in_script(&data(explorer)?)?),
        ("code", code()),
    ]);
    // What is filled in is not looked at again: a text in it that looks like a place is none.
    let mut page = String::new();
    for (i, piece) in HTML.split("{{").enumerate() {
        match piece.split_once("}}") {
            Some((name, rest)) if i > 0 => {
                page += parts.get(name).map_or(name, String::as_str);
                page += rest;
            }
            _ => page += piece,
        }
    }
    Ok(page)
}

/// The script that puts a page into the place of what has this name in `data-explorer`.
pub(super) fn notebook_script(name: &str, title: &str, page: &str) -> Result<String> {
    let [name, title, page] = [name, title, page].map(|text| in_script(&json!(text)));
    Ok(format!("({NOTEBOOK})({}, {}, {})", name?, title?, page?))
}

/// All modules as one script: what they take from each other stands above. Comments and indentation stay here.
fn code() -> String {
    let lines = MODULES
        .iter()
        .flat_map(|module| module.lines())
        .map(str::trim);
    let lines = lines.filter(|line| !line.starts_with("//") && !line.starts_with("import "));
    let lines = lines.map(|line| line.strip_prefix("export ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// JSON for the inside of a script, which no text in it can end.
fn in_script(value: &Value) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

fn data(explorer: &Explorer) -> Result<Value> {
    let shape = image_shape(&explorer.model.summary()?.input_shape);
    let (divisor, pixels) = pixels(&numbers(&explorer.chosen()?)?);
    let image = |&index: &i64| {
        let labels = explorer.labels.as_ref();
        let label = labels.and_then(|labels| labels.get(index as usize));
        let class = label.map(|&label| format!(" · {}", class_name(explorer, label)));
        let name = texts::figure_image(index) + &class.unwrap_or_default();
        json!({"name": name, "label": label})
    };
    Ok(json!({
        "text": BTreeMap::from(text()),
        "inferno": palette(|share| colorous::INFERNO.eval_rational(share, 256)),
        // Blue, white, red, as the grids of kernels are.
        "diverging": palette(|share| colorous::RED_BLUE.eval_rational(255 - share, 256)),
        "shape": shape,
        "layers": layers(explorer, shape)?,
        "names": class_names(explorer)?,
        "images": explorer.indices.iter().map(image).collect::<Vec<_>>(),
        "divisor": divisor,
        "pixels": pixels,
    }))
}

/// As `[channels, rows, columns]`; numbers in a row are a square where they make one.
fn image_shape(input: &[i64]) -> [i64; 3] {
    if let [channels, rows, columns] = *input {
        return [channels, rows, columns];
    }
    if let [rows, columns] = *input {
        return [1, rows, columns];
    }
    let count: i64 = input.iter().product();
    let side = count.isqrt();
    if side * side == count {
        [1, side, side]
    } else {
        [1, 1, count]
    }
}

fn class_name(explorer: &Explorer, class: i64) -> String {
    let name = explorer.names.get(class as usize).cloned();
    name.unwrap_or_else(|| class.to_string())
}

/// The names of all classes; none if the model's last layer gives pictures.
fn class_names(explorer: &Explorer) -> Result<Vec<String>> {
    let last = explorer.model.built()?.layers.last();
    let classes = match last.map(|layer| layer.plan.output.as_slice()) {
        Some(&[classes]) => classes,
        _ => 0,
    };
    Ok((0..classes)
        .map(|class| class_name(explorer, class))
        .collect())
}

/// Each layer as in a model's file, with its name, what is said about it, its shapes and its weights. A dense layer's `source`
/// is the shape of its input before that was flattened, if it is pixels.
fn layers(explorer: &Explorer, image: [i64; 3]) -> Result<Vec<Value>> {
    let weights = explorer.model.weights()?;
    let mut source = Some(image.to_vec());
    let mut layer = |plan: &LayerPlan| {
        let mut form = serde_json::to_value(&plan.layer)?;
        let about = about(&form, &plan.output);
        form["name"] = json!(plan.at.name);
        form["about"] = json!(about);
        form["input"] = json!(plan.input);
        form["output"] = json!(plan.output);
        if form["layer"] == "dense" {
            form["source"] = json!(source);
        }
        for (name, weight) in &weights {
            if let Some((owner, part)) = name.split_once('.')
                && owner == plan.at.name
            {
                form[part] = json!(encode(&numbers(weight)?));
            }
        }
        if !matches!(form["layer"].as_str(), Some("flatten" | "dropout")) {
            source = (plan.output.len() == 3).then(|| plan.output.clone());
        }
        Ok(form)
    };
    let layers = explorer.model.built()?.layers.iter();
    layers.map(|built| layer(&built.plan)).collect()
}

/// What a layer gives, and its activation.
fn about(form: &Value, output: &[i64]) -> String {
    let size = match (form["layer"].as_str(), output) {
        (Some("flatten"), [count]) => return texts::explorer_flatten(count),
        (Some("dropout"), _) => return texts::explorer_dropout(),
        (_, [count, height, width]) => texts::explorer_maps(count, height, width),
        _ => texts::explorer_units(output.iter().product::<i64>()),
    };
    match form["activation"].as_str() {
        Some("linear") | None => size,
        Some(activation) => format!("{size} · {activation}"),
    }
}

/// Numbers as float32, in base64.
fn encode(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Numbers as bytes over a divisor, 255 or 1, where that loses nothing; otherwise as float32 and without one.
fn pixels(numbers: &[f32]) -> (Option<f32>, String) {
    for divisor in [255.0, 1.0] {
        let byte = |&number: &f32| {
            let byte = (number * divisor).round() as u8;
            (f32::from(byte) / divisor == number).then_some(byte)
        };
        if let Some(bytes) = numbers.iter().map(byte).collect::<Option<Vec<u8>>>() {
            return (Some(divisor), STANDARD.encode(bytes));
        }
    }
    (None, encode(numbers))
}

/// 256 colours; of each red, green and blue, and that it hides what is behind it.
fn palette(color: impl Fn(usize) -> colorous::Color) -> String {
    let opaque = |colorous::Color { r, g, b }| [r, g, b, 255];
    let colors: Vec<u8> = (0..256).flat_map(|share| opaque(color(share))).collect();
    STANDARD.encode(colors)
}

/// The words in the page's HTML by the names of their places.
fn words() -> [(&'static str, String); 21] {
    [
        ("answer", texts::explorer_answer()),
        ("brush", texts::explorer_brush()),
        ("centre", texts::explorer_centre()),
        ("centre_note", texts::explorer_centre_note()),
        ("clear", texts::explorer_clear()),
        ("compare", texts::explorer_compare()),
        ("draw", texts::explorer_draw()),
        ("eraser", texts::explorer_eraser()),
        ("filter", texts::explorer_filter()),
        ("filter_heading", texts::explorer_filter_heading()),
        ("images", texts::explorer_images()),
        ("images_hint", texts::explorer_images_hint()),
        ("layers_heading", texts::explorer_layers_heading()),
        ("layers_hint", texts::explorer_layers_hint()),
        ("made", texts::explorer_made()),
        ("made_hint", texts::explorer_made_hint()),
        ("no_script", texts::explorer_no_scripts()),
        ("one_range", texts::explorer_one_range()),
        ("original", texts::explorer_original()),
        ("title", texts::explorer_title()),
        ("tools", texts::explorer_tools()),
    ]
}

/// The words of the page's modules by the names that they have for them. What is in braces they fill in.
fn text() -> [(&'static str, String); 24] {
    let (count, low, high) = ("{count}", "{low}", "{high}");
    [
        ("bias", texts::explorer_bias()),
        ("changed", texts::explorer_changed()),
        ("channel", texts::explorer_channel("{channel}")),
        ("channels", texts::explorer_channels()),
        ("filter", texts::explorer_filter()),
        ("image", texts::figure_input()),
        ("input_weight", texts::explorer_input_weight()),
        ("kernel", texts::explorer_kernel("{channels}", low, high)),
        ("largest", texts::explorer_largest(count)),
        ("no_filter", texts::explorer_no_filter("{last}")),
        ("others", texts::explorer_others(count)),
        ("pixel", texts::explorer_pixel("{row}", "{column}")),
        ("products", texts::explorer_products()),
        ("products_sum", texts::explorer_products_sum()),
        ("range_one", texts::explorer_range_one(low, high)),
        ("range_own", texts::explorer_range_own(low, high)),
        ("right", texts::figure_right()),
        ("sum", texts::explorer_sum()),
        ("unit", texts::explorer_unit()),
        ("votes", texts::explorer_votes()),
        ("weights", texts::explorer_weights()),
        ("weights_range", texts::explorer_weights_range(low, high)),
        ("window", texts::explorer_window_pooling()),
        ("window_kernel", texts::explorer_window()),
    ]
}
