//! The page: its data as JSON, its modules as one script, all in one file.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tch::Tensor;

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
const MODULES: [&str; 9] = [
    include_str!("page/network.mjs"),
    include_str!("page/drawing.mjs"),
    include_str!("page/painting.mjs"),
    include_str!("page/dom.mjs"),
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
    let parts = [
        ("language", language.to_string()),
        ("title", escape(&texts::explorer_title())),
        ("style", STYLE.to_string()),
        ("no script", escape(&texts::explorer_no_scripts())),
        ("data", in_script(&data(explorer)?)?),
        ("code", code()),
    ];
    // What is filled in is not looked at again: a text in it that looks like a place is none.
    let mut page = String::new();
    let mut rest = HTML;
    for (name, content) in parts {
        let place = format!("<!-- {name} -->");
        let (before, after) = rest.split_once(&place).unwrap_or((rest, ""));
        page += before;
        page += &content;
        rest = after;
    }
    Ok(page + rest)
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
    let summary = explorer.model.summary()?;
    let (divisor, pixels) = pixels(&numbers(&explorer.chosen()?)?);
    let image = |&index: &i64| {
        let labels = explorer.labels.as_ref();
        json!({"number": index, "label": labels.and_then(|labels| labels.get(index as usize))})
    };
    Ok(json!({
        "about": texts::explorer_about(summary.rows.len(), thousands(summary.total)),
        "text": text(),
        "inferno": palette(|share| colorous::INFERNO.eval_rational(share, 256)),
        // Blue, white, red, as the grids of kernels are.
        "diverging": palette(|share| colorous::RED_BLUE.eval_rational(255 - share, 256)),
        "input": summary.input_shape,
        "layers": layers(explorer)?,
        "names": explorer.names,
        "images": explorer.indices.iter().map(image).collect::<Vec<_>>(),
        "divisor": divisor,
        "pixels": pixels,
    }))
}

/// Each layer as in a model's file, with its name, its shapes and its weights.
fn layers(explorer: &Explorer) -> Result<Vec<Value>> {
    let weights = explorer.model.weights()?;
    let plans = explorer
        .model
        .built()?
        .layers
        .iter()
        .map(|layer| &layer.plan);
    let layer = |plan: &LayerPlan| {
        let mut form = serde_json::to_value(&plan.layer)?;
        form["name"] = json!(plan.at.name);
        form["input"] = json!(plan.input);
        form["output"] = json!(plan.output);
        for (name, weight) in &weights {
            if let Some((owner, part)) = name.split_once('.')
                && owner == plan.at.name
            {
                form[part] = json!(base64(weight)?);
            }
        }
        Ok(form)
    };
    plans.map(layer).collect()
}

/// A tensor's numbers as float32, in base64.
fn base64(tensor: &Tensor) -> Result<String> {
    Ok(encode(&numbers(tensor)?))
}

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

/// 256 colours, red, green and blue of each.
fn palette(color: impl Fn(usize) -> colorous::Color) -> String {
    let colors: Vec<u8> = (0..256).flat_map(|share| color(share).as_array()).collect();
    STANDARD.encode(colors)
}

/// The page's texts by the names that its modules have for them. What is in braces they fill in.
fn text() -> Value {
    let texts = [
        ("answer", texts::explorer_answer()),
        ("bias", texts::explorer_bias()),
        ("brush", texts::explorer_brush()),
        ("centre", texts::explorer_centre()),
        ("centre_note", texts::explorer_centre_note()),
        ("changed", texts::explorer_changed()),
        ("channel", texts::explorer_channel("{channel}")),
        ("channels", texts::explorer_channels()),
        ("clear", texts::explorer_clear()),
        ("compare", texts::explorer_compare()),
        ("draw", texts::explorer_draw()),
        ("dropout", texts::explorer_dropout()),
        ("eraser", texts::explorer_eraser()),
        ("filter", texts::explorer_filter()),
        ("filter_heading", texts::explorer_filter_heading()),
        ("flatten", texts::explorer_flatten("{count}")),
        ("hint", texts::explorer_hint()),
        ("image", texts::figure_input()),
        ("image_number", texts::figure_image("{index}")),
        ("images", texts::explorer_images()),
        (
            "kernel",
            texts::explorer_kernel("{channels}", "{low}", "{high}"),
        ),
        ("largest", texts::explorer_largest("{count}")),
        ("layers_heading", texts::explorer_layers_heading()),
        ("made", texts::explorer_made()),
        (
            "maps",
            texts::explorer_maps("{count}", "{height}", "{width}"),
        ),
        ("no_filter", texts::explorer_no_filter("{last}")),
        ("one_range", texts::explorer_one_range()),
        ("original", texts::explorer_original()),
        ("others", texts::explorer_others("{count}")),
        ("pixel", texts::explorer_pixel("{row}", "{column}")),
        ("products", texts::explorer_products()),
        ("products_sum", texts::explorer_products_sum()),
        ("range_one", texts::explorer_range_one("{low}", "{high}")),
        ("range_own", texts::explorer_range_own("{low}", "{high}")),
        ("right", texts::figure_right()),
        ("sum", texts::explorer_sum()),
        ("title", texts::explorer_title()),
        ("tools", texts::explorer_tools()),
        ("unit", texts::explorer_unit()),
        ("units", texts::explorer_units("{count}")),
        ("votes", texts::explorer_votes()),
        ("weights", texts::explorer_weights()),
        (
            "weights_range",
            texts::explorer_weights_range("{low}", "{high}"),
        ),
        ("window", texts::explorer_window()),
        ("window_pooling", texts::explorer_window_pooling()),
    ];
    json!(BTreeMap::from(texts))
}
