//! A model in one safetensors file: architecture, weights, and the optimizer's state.
//!
//! The tensors are named as [`Sequential::weights`] names them and lie in libtorch's plain order, so that PyTorch and
//! Python's `safetensors` read them as they are; an optimizer's moments are `optimizer.m.conv2d.kernel` and so on. The
//! rest stands as JSON in the file's metadata, under `svertka`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{bail, ensure};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Tensor;

use super::layer::{Layer, format_shape, plan};
use super::network::Network;
use super::sequential::{Compiled, Sequential};
use crate::Result;
use crate::session::files::write_whole;
use crate::session::{compute, error, plain, texts, torch};

/// The key of this crate's metadata, and the version of what stands there.
const KEY: &str = "svertka";
const VERSION: i64 = 1;

/// 16 GiB: no model that fits into memory has a longer file.
const MAX_LENGTH: u64 = 16 << 30;

/// The JSON of the metadata. `C` is [`Compiled`], or a reference to it when a file is written.
#[derive(Serialize, Deserialize)]
struct About<C> {
    version: i64,
    input_shape: Vec<i64>,
    layers: Vec<Layer>,
    compiled: Option<C>,
}

impl Sequential {
    /// Writes architecture, weights and the optimizer's state to one safetensors file, by way of a sibling file that is
    /// renamed when it is whole: a file that was there stays as it was until then. A process that is killed meanwhile leaves
    /// the sibling, a hidden file that ends in `.part`.
    ///
    /// # Errors
    /// If the weights aren't there yet, or the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path.as_ref(), self.built()?, self.compiled.as_ref())
    }

    /// Reads a model that [`save`](Self::save) wrote: it predicts, and goes on learning from where it stopped.
    ///
    /// # Errors
    /// If the file can't be read, is no safetensors file, is damaged, or isn't svertka's: the message names the tensor
    /// and what was expected. Nothing in the file is ever run, and nothing is allocated that its size doesn't justify.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read(path)?;
        parse(&bytes).map_err(|e| error(texts::file_bad(path.display(), e)))
    }
}

/// Writes a model's file.
pub(crate) fn write(path: &Path, network: &Network, compiled: Option<&Compiled>) -> Result<()> {
    let mut tensors = plain_weights(network, &network.flat, "").map_err(torch)?;
    for (name, moment) in compiled.iter().flat_map(|compiled| &compiled.state.moments) {
        let prefix = format!("optimizer.{name}.");
        tensors.extend(plain_weights(network, moment, &prefix).map_err(torch)?);
    }
    let layers = network.layers.iter().map(|layer| &layer.plan.layer);
    let about = About {
        version: VERSION,
        input_shape: network.input_shape().to_vec(),
        layers: layers.cloned().collect(),
        compiled,
    };
    let metadata = HashMap::from([(KEY.to_string(), serde_json::to_string(&about)?)]);
    let mut views = Vec::new();
    for (name, size, bytes) in &tensors {
        views.push((name, TensorView::new(Dtype::F32, size.clone(), bytes)?));
    }
    let bytes = safetensors::serialize(views, &Some(metadata))?;
    write_whole(path, &bytes)
}

/// Name, size, bytes.
type PlainTensor = (String, Vec<usize>, Vec<u8>);

/// Name, size and little-endian bytes of each weight of a tensor that is laid out as the network's `flat`.
fn plain_weights(network: &Network, flat: &Tensor, prefix: &str) -> tch::Result<Vec<PlainTensor>> {
    let tensor = |(name, window): (String, Tensor)| {
        let size = window.size().iter().map(|&n| n as usize).collect();
        let numbers = Vec::<f32>::try_from(window.f_reshape([-1])?)?;
        let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        Ok((format!("{prefix}{name}"), size, bytes))
    };
    network.windows(flat)?.into_iter().map(tensor).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |reason: String| error(texts::file_unreadable(path.display(), reason));
    let about = fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => error(texts::file_missing(path.display())),
        _ => unreadable(plain(&e)),
    })?;
    ensure!(!about.is_dir(), texts::file_is_folder(path.display()));
    let too_long = texts::file_bad(path.display(), texts::file_not_safetensors());
    ensure!(about.len() <= MAX_LENGTH, too_long);
    fs::read(path).map_err(|e| unreadable(plain(&e)))
}

fn parse(bytes: &[u8]) -> Result<Sequential> {
    let no_safetensors = |_| error(texts::file_not_safetensors());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(no_safetensors)?;
    let file = SafeTensors::deserialize(bytes).map_err(no_safetensors)?;
    let metadata = header.metadata().as_ref();
    let about = about(metadata.and_then(|metadata| metadata.get(KEY)))?;
    // The weights that the architecture asks for must be in the file before memory is asked for.
    for plan in plan(&about.layers, &about.input_shape)? {
        for (name, expected) in plan.weights() {
            check(&file, &name, &expected)?;
        }
    }
    let mut model = Sequential::new(about.layers).input_shape(about.input_shape);
    let network = model.built()?;
    let flat = flat_from(network, &file, "")?;
    tch::no_grad(|| network.flat.shallow_clone().f_copy_(&flat)).map_err(torch)?;
    if let Some(mut compiled) = about.compiled {
        // Before the first step there are no moments.
        if compiled.state.steps > 0 {
            for &name in compiled.optimizer.moments() {
                let moment = flat_from(network, &file, &format!("optimizer.{name}."))?;
                compiled.state.moments.push((name, moment));
            }
        }
        model.compiled = Some(compiled);
    }
    Ok(model)
}

/// What the metadata say, if they are svertka's and of this version.
fn about(text: Option<&String>) -> Result<About<Compiled>> {
    let foreign = || error(texts::file_foreign());
    let about = text.and_then(|text| serde_json::from_str(text).ok());
    let mut about: Value = about.ok_or_else(foreign)?;
    let version = &about["version"];
    ensure!(*version == VERSION, texts::file_version(version, VERSION));
    // The first files' poolings have no strides: their windows stand side by side.
    let layers = about.get_mut("layers").and_then(Value::as_array_mut);
    for layer in layers.into_iter().flatten() {
        if let (Some(pool), None) = (layer.get("pool").cloned(), layer.get("strides")) {
            layer["strides"] = pool;
        }
    }
    serde_json::from_value(about).map_err(|_| foreign())
}

/// The bytes of one tensor, if the file has it in this shape.
fn check<'a>(file: &'a SafeTensors<'a>, name: &str, expected: &[i64]) -> Result<TensorView<'a>> {
    let wanted = format_shape(expected);
    let Ok(view) = file.tensor(name) else {
        bail!(texts::file_tensor_missing(name, wanted));
    };
    let size: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    if size != expected || view.dtype() != Dtype::F32 {
        let found = format!("{:?} {}", view.dtype(), format_shape(&size));
        bail!(texts::file_tensor_shape(name, wanted, found));
    }
    Ok(view)
}

/// The file's tensors of this prefix in one row, as the network's `flat` lies.
fn flat_from(network: &Network, file: &SafeTensors, prefix: &str) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let flat = network.flat.f_zeros_like().map_err(torch)?;
    let windows = network.windows(&flat).map_err(torch)?;
    for (name, mut window) in windows {
        let name = format!("{prefix}{name}");
        let size = window.size();
        let view = check(file, &name, &size)?;
        let (chunks, _) = view.data().as_chunks::<4>();
        let numbers: Vec<f32> = chunks.iter().copied().map(f32::from_le_bytes).collect();
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            bail!(texts::file_tensor_number(name, index, numbers[index]));
        }
        compute(|| window.f_copy_(&Tensor::f_from_slice(&numbers)?.f_reshape(&size)?))?;
    }
    Ok(flat)
}
