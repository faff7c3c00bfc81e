//! A model in one safetensors file: architecture, weights, and the optimiser's memory.
//!
//! The tensors are named as [`Sequential::weights`] names them and lie in libtorch's plain order, so that PyTorch and
//! Python's `safetensors` read them as they are; an optimiser's moments are `optimizer.m.conv2d.kernel` and so on. The
//! rest stands as JSON in the file's metadata, under `svertka`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tch::Tensor;

use super::Sequential;
use super::layer::{Activation, Kind, Layer, shape};
use super::network::Network;
use super::optimizer::{Adam, Optimizer, OptimizerState, Sgd};
use super::sequential::Compiled;
use crate::Result;
use crate::session::files::write_whole;
use crate::session::{error, plain, texts, torch};

/// The key of this crate's metadata, and the version of what stands there.
const KEY: &str = "svertka";
const VERSION: i64 = 1;

/// No model that fits into memory has a longer file: 16 GiB.
const LONGEST: u64 = 16 << 30;

impl Sequential {
    /// Writes architecture, weights and the optimiser's memory to one safetensors file, by way of a sibling file that is
    /// renamed when it is whole: a file that was there stays as it was until then.
    ///
    /// # Errors
    /// If the weights aren't there yet, or the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path.as_ref(), self.built()?, self.compiled().ok())
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

/// Writes the file of a model that is made of these.
pub(crate) fn write(path: &Path, network: &Network, compiled: Option<&Compiled>) -> Result<()> {
    let mut tensors = plain_weights(network, &network.flat, "").map_err(torch)?;
    for (name, moment) in compiled.iter().flat_map(|compiled| &compiled.state.moments) {
        let prefix = format!("optimizer.{name}.");
        tensors.extend(plain_weights(network, moment, &prefix).map_err(torch)?);
    }
    let compiled = compiled.map(|compiled| {
        json!({
            "optimizer": optimizer_json(&compiled.optimizer),
            "learning_rate": compiled.learning_rate,
            "loss": "sparse_categorical_crossentropy",
            "steps": compiled.state.steps,
        })
    });
    let layers = network.slots.iter().map(|slot| &slot.plan.layer);
    let about = json!({
        "version": VERSION,
        "input_shape": network.slots[0].plan.input,
        "layers": layers.map(layer_json).collect::<Vec<_>>(),
        "compiled": compiled,
    });
    let metadata = HashMap::from([(KEY.to_string(), about.to_string())]);
    let views = tensors
        .iter()
        .map(|(name, size, bytes)| Ok((name, TensorView::new(Dtype::F32, size.clone(), bytes)?)));
    let bytes = views
        .collect::<std::result::Result<Vec<_>, _>>()
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|e| error(texts::not_written(path.display(), e)))?;
    write_whole(path, &bytes)
}

/// Name, size, bytes.
type PlainTensor = (String, Vec<usize>, Vec<u8>);

/// Name, size and little-endian bytes of each weight of a tensor that is laid out as the network's `flat`.
fn plain_weights(network: &Network, flat: &Tensor, prefix: &str) -> tch::Result<Vec<PlainTensor>> {
    let names = network.named_weights().map(|(name, _)| name);
    names
        .zip(network.windows(flat)?)
        .map(|(name, window)| {
            let plain = window
                .f_detach()?
                .f_to_device(tch::Device::Cpu)?
                .f_contiguous()?;
            let count = plain.numel();
            let mut numbers = vec![0f32; count];
            plain.f_copy_data(&mut numbers, count)?;
            let bytes = numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect();
            let size = plain.size().iter().map(|&n| n as usize).collect();
            Ok((format!("{prefix}{name}"), size, bytes))
        })
        .collect()
}

fn layer_json(layer: &Layer) -> Value {
    let mut value = match &layer.0 {
        Kind::Conv2d {
            filters,
            kernel: (h, w),
            activation,
        } => {
            json!({"filters": filters, "kernel": [h, w], "activation": activation.name()})
        }
        Kind::MaxPooling2d { pool: (h, w) } => json!({"pool": [h, w]}),
        Kind::Flatten => json!({}),
        Kind::Dense { units, activation } => {
            json!({"units": units, "activation": activation.name()})
        }
        Kind::Dropout { rate } => json!({"rate": rate}),
    };
    value["layer"] = layer.kind_name().into();
    value
}

fn layer_from(value: &Value) -> Option<Layer> {
    let number = |key: &str| value[key].as_i64();
    let pair = |key: &str| match value[key].as_array()?.as_slice() {
        [a, b] => Some((a.as_i64()?, b.as_i64()?)),
        _ => None,
    };
    let activation = || Activation::from_name(value["activation"].as_str()?);
    Some(Layer(match value["layer"].as_str()? {
        "conv2d" => Kind::Conv2d {
            filters: number("filters")?,
            kernel: pair("kernel")?,
            activation: activation()?,
        },
        "max_pooling2d" => Kind::MaxPooling2d {
            pool: pair("pool")?,
        },
        "flatten" => Kind::Flatten,
        "dense" => Kind::Dense {
            units: number("units")?,
            activation: activation()?,
        },
        "dropout" => Kind::Dropout {
            rate: value["rate"].as_f64()?,
        },
        _ => return None,
    }))
}

fn optimizer_json(optimizer: &Optimizer) -> Value {
    match optimizer {
        Optimizer::Adam(Adam {
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
        }) => json!({
            "name": "adam", "learning_rate": learning_rate,
            "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon,
        }),
        Optimizer::Sgd(Sgd {
            learning_rate,
            momentum,
        }) => {
            json!({"name": "sgd", "learning_rate": learning_rate, "momentum": momentum})
        }
    }
}

fn optimizer_from(value: &Value) -> Option<Optimizer> {
    let number = |key: &str| value[key].as_f64();
    Some(match value["name"].as_str()? {
        "adam" => Optimizer::Adam(Adam {
            learning_rate: number("learning_rate")?,
            beta_1: number("beta_1")?,
            beta_2: number("beta_2")?,
            epsilon: number("epsilon")?,
        }),
        "sgd" => Optimizer::Sgd(Sgd {
            learning_rate: number("learning_rate")?,
            momentum: number("momentum")?,
        }),
        _ => return None,
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |reason: String| error(texts::file_unreadable(path.display(), reason));
    let about = fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => error(texts::file_missing(path.display())),
        _ => unreadable(plain(&e)),
    })?;
    if about.is_dir() {
        return Err(error(texts::file_is_folder(path.display())));
    }
    if about.len() > LONGEST {
        return Err(error(texts::file_bad(
            path.display(),
            texts::file_not_safetensors(),
        )));
    }
    fs::read(path).map_err(|e| unreadable(plain(&e)))
}

fn parse(bytes: &[u8]) -> Result<Sequential> {
    let foreign = || error(texts::file_foreign());
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|_| error(texts::file_not_safetensors()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|_| error(texts::file_not_safetensors()))?;
    let about = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(KEY));
    let about: Value = about
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(foreign)?;
    if about["version"] != VERSION {
        return Err(error(texts::file_version(&about["version"], VERSION)));
    }
    let list = |key: &str| about[key].as_array().ok_or_else(foreign);
    let layers: Option<Vec<Layer>> = list("layers")?.iter().map(layer_from).collect();
    let input: Option<Vec<i64>> = list("input_shape")?.iter().map(Value::as_i64).collect();
    let (layers, input) = (layers.ok_or_else(foreign)?, input.ok_or_else(foreign)?);
    let mut model = Sequential::new(layers);
    // The weights that the architecture asks for must be in the file before memory is asked for.
    for (name, expected) in model.weight_sizes(&input)? {
        check(&file, &name, &expected)?;
    }
    model = model.input_shape(input);
    let network = model.built()?;
    let flat = flat_from(network, &file, "")?;
    tch::no_grad(|| network.flat.shallow_clone().f_copy_(&flat)).map_err(torch)?;
    let compiled = &about["compiled"];
    if !compiled.is_null() {
        let optimizer = optimizer_from(&compiled["optimizer"]).ok_or_else(foreign)?;
        let learning_rate = compiled["learning_rate"].as_f64().ok_or_else(foreign)?;
        let steps = compiled["steps"]
            .as_i64()
            .filter(|&n| n >= 0)
            .ok_or_else(foreign)?;
        let mut state = OptimizerState::default();
        if steps > 0 {
            state = OptimizerState::new(&optimizer, steps, &network.flat).map_err(torch)?;
            for (name, moment) in &mut state.moments {
                *moment = flat_from(network, &file, &format!("optimizer.{name}."))?;
            }
        }
        model.set_compiled(Compiled {
            optimizer,
            learning_rate,
            state,
        });
    }
    Ok(model)
}

/// The bytes of one tensor, if the file has it in this shape.
fn check<'a>(file: &SafeTensors<'a>, name: &str, expected: &[i64]) -> Result<TensorView<'a>> {
    let missing = || error(texts::file_tensor_missing(name, shape(expected)));
    let view = file.tensor(name).map_err(|_| missing())?;
    let size: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    if size != expected || view.dtype() != Dtype::F32 {
        let found = format!("{:?} {}", view.dtype(), shape(&size));
        return Err(error(texts::file_tensor_shape(
            name,
            shape(expected),
            found,
        )));
    }
    Ok(view)
}

/// The file's tensors of this prefix in one row, as the network's `flat` lies.
fn flat_from(network: &Network, file: &SafeTensors, prefix: &str) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let flat = network.flat.f_zeros_like().map_err(torch)?;
    let windows = network.windows(&flat).map_err(torch)?;
    for ((name, _), mut window) in network.named_weights().zip(windows) {
        let name = format!("{prefix}{name}");
        let size = window.size();
        let view = check(file, &name, &size)?;
        let (chunks, _) = view.data().as_chunks::<4>();
        let numbers: Vec<f32> = chunks
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(error(texts::file_tensor_number(
                name,
                index,
                numbers[index],
            )));
        }
        let mut fill = || window.f_copy_(&Tensor::f_from_slice(&numbers)?.f_reshape(&size)?);
        fill().map_err(torch)?;
    }
    Ok(flat)
}
