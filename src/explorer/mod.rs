//! The explorer: a model as a page that computes it, to look into and to draw for.

mod page;

use std::fmt;
use std::path::Path;

use tch::Tensor;

use crate::Result;
use crate::figures::{Figure, activation_grid, gallery, select};
use crate::model::{Sequential, batch_len, check_images, thousands};
use crate::session::display::{Content, Show, escape, shows_itself};
use crate::session::files::{check_path, write_whole};
use crate::session::{compute, error, texts, unique};

/// As many images as a strip can show.
const MAX_IMAGES: usize = 32;
/// More numbers in all images together make a page that opens slowly: then fewer images are taken by themselves.
const MAX_NUMBERS: usize = 1 << 20;
/// Each takes 5.3 bytes: the page is then 16 MB.
const MAX_PARAMETERS: i64 = 3_000_000;
/// A browser does a million in about 2 ms.
const MAX_MULTIPLICATIONS: i64 = 200_000_000;
/// As many stand in the still picture.
const STILL_IMAGES: usize = 3;

/// A model to look into: a page on which one chooses images or draws them, sees what every layer makes of them, and how each
/// number came about. Made by [`explore`].
///
/// As the value that ends a notebook cell it shows itself; [`show`](Self::show) shows it in the middle of a cell and
/// [`save`](Self::save) writes it to a file. The page computes the model itself: it works without the kernel, without a
/// network, and in a saved notebook. Where a front end runs no scripts (a notebook that isn't trusted, GitHub), there is a
/// still picture instead, with a line that says how to see the rest. Its language is the learner's at the time when it is
/// shown or saved.
pub struct Explorer {
    /// The model as it was.
    model: Sequential,
    images: Tensor,
    indices: Vec<i64>,
    labels: Option<Vec<i64>>,
    names: Vec<String>,
}

/// Lets one look into a model, with these images: `explore(&model, &test_images)?`.
///
/// `images`: `[images, …]` as the model takes them, of which the first 32 are kept (fewer if they are large); see
/// [`indices`](Explorer::indices), [`names`](Explorer::names), [`labels`](Explorer::labels). The model is explored as it is
/// now: training it later changes nothing.
///
/// ```no_run
/// # use svertka::prelude::*;
/// # fn main() -> svertka::Result<()> {
/// # let model = Sequential::new([conv2d(64, (3, 3), Relu)]);
/// # let test_images = Tensor::zeros([100, 1, 28, 28], (Kind::Float, Device::Cpu));
/// # let class_names = datasets::fashion_mnist()?.class_names;
/// explore(&model, &test_images)?.indices([0, 23, 28])?.names(class_names).save("network.html")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the model's weights aren't there yet, or there are more than 3,000,000 of them, or an image takes more than
/// 200,000,000 multiplications. If the images are not the model's.
pub fn explore(model: &Sequential, images: &Tensor) -> Result<Explorer> {
    let network = model.built()?;
    let parameters = model.summary()?.total;
    if parameters > MAX_PARAMETERS {
        let most = thousands(MAX_PARAMETERS);
        return Err(error(texts::explorer_too_large(
            thousands(parameters),
            most,
        )));
    }
    let multiplications = network.multiplications();
    if multiplications > MAX_MULTIPLICATIONS {
        let most = thousands(MAX_MULTIPLICATIONS);
        let own = thousands(multiplications);
        return Err(error(texts::explorer_too_slow(own, most)));
    }
    check_images(network, images)?;
    let numbers: i64 = network.input_shape().iter().product();
    let room = MAX_NUMBERS / numbers.max(1) as usize;
    let kept = MAX_IMAGES.min(room).max(1) as i64;
    Ok(Explorer {
        model: model.snapshot()?,
        images: images.shallow_clone(),
        indices: (0..kept.min(batch_len(images))).collect(),
        labels: None,
        names: Vec::new(),
    })
}

shows_itself!(Explorer);

impl Explorer {
    /// Chooses the images by their numbers in the tensor, at most 32. Defaults to the first ones.
    ///
    /// # Errors
    /// If none or more than 32 are given, or there is no such image.
    pub fn indices(self, indices: impl IntoIterator<Item = i64>) -> Result<Self> {
        let indices: Vec<i64> = indices.into_iter().collect();
        let count = batch_len(&self.images);
        if indices.is_empty() {
            return Err(error(texts::figure_no_indices(count - 1)));
        }
        if let Some(index) = indices.iter().find(|index| !(0..count).contains(*index)) {
            return Err(error(texts::figure_no_such_image(index, count - 1)));
        }
        if indices.len() > MAX_IMAGES {
            let text = texts::explorer_too_many_images(indices.len(), MAX_IMAGES);
            return Err(error(text));
        }
        Ok(Self { indices, ..self })
    }

    /// Calls the classes by their names: `.names(class_names)`. Defaults to their numbers, which also stand for classes
    /// beyond the end of the list.
    #[must_use]
    pub fn names<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { names, ..self }
    }

    /// Tells the right class of each image, to be marked on the page: `labels` are whole numbers `[images]`, one for each
    /// image given to [`explore`]. Defaults to none.
    ///
    /// # Errors
    /// If the model gives no classes, the labels don't belong to the images, or one is no class.
    pub fn labels(self, labels: &Tensor) -> Result<Self> {
        let (_, labels) = self.model.checked(&self.images, labels)?;
        let labels = Some(compute(|| Vec::<i64>::try_from(&labels))?);
        Ok(Self { labels, ..self })
    }

    /// Writes the page to a file whose name ends in `.html`. A file that is there is replaced. The page needs no other file
    /// and no network.
    ///
    /// # Errors
    /// When the name ends in something else, when the path is a folder or lies in a folder that does not exist, and when the
    /// system does not let the file be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        check_path(path)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !ending.is_some_and(|ending| ending.eq_ignore_ascii_case("html")) {
            return Err(error(texts::explorer_ending(path.display())));
        }
        write_whole(path, page::page(self)?.as_bytes())
    }

    /// The images that are kept.
    fn chosen(&self) -> Result<Tensor> {
        select(&self.images, &self.indices)
    }

    /// What stands where no scripts run: the lesson's grid of the first images, or a gallery with the classes that the model
    /// gives if its first layer gives no pictures; nothing if the images aren't pictures either.
    fn still(&self) -> Result<Option<Figure>> {
        let shown = &self.indices[..self.indices.len().min(STILL_IMAGES)];
        let chosen = select(&self.images, shown)?;
        let outputs = self.model.activations(&chosen)?;
        let figure = match (outputs.first(), outputs.last()) {
            (Some(first), _) if first.output.dim() == 4 => {
                activation_grid(&self.model, &self.images, shown.to_vec(), 0)?
            }
            (_, Some(last)) if last.output.dim() == 2 => {
                let classes = compute(|| last.output.f_argmax(-1, false))?;
                let Ok(figure) = gallery(&chosen, &classes) else {
                    return Ok(None);
                };
                figure
            }
            _ => return Ok(None),
        };
        Ok(Some(figure.names(self.names.clone())))
    }
}

impl Show for Explorer {
    /// The still picture as HTML that every front end shows, and behind it a script that puts the page into its place.
    fn content(&self) -> Result<Content> {
        let still = match self.still()? {
            Some(figure) => figure.content()?,
            None => Content::default(),
        };
        let name = unique();
        let picture = still.html.unwrap_or_default();
        let line = escape(&texts::explorer_still());
        let script = page::notebook_script(&name, &texts::explorer_title(), &page::page(self)?)?;
        Ok(Content {
            plain: self.to_string(),
            html: Some(format!(
                "<div data-explorer=\"{name}\">{picture}<p>{line}</p></div><script>{script}</script>"
            )),
            ..still
        })
    }
}

impl fmt::Display for Explorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters = self.model.summary().map_or(0, |summary| summary.total);
        f.write_str(&texts::explorer_line(
            self.model.layers().len(),
            thousands(parameters),
            self.indices.len(),
        ))
    }
}

impl fmt::Debug for Explorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
