//! Versions of the parts: for the lesson's first line, and for a report of a fault.

use std::fmt;

use super::device;
use super::display::{Show, shows_itself};

/// The versions of svertka, tch and libtorch, and the device that models are made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// This crate's version.
    pub svertka: String,
    /// The version of `tch` that this crate is written for.
    pub tch: String,
    /// The version of libtorch that `tch` is made for.
    pub libtorch: String,
    /// `cpu` or `cuda:N`; empty if `SVERTKA_DEVICE` names none that works.
    pub device: String,
}

/// Tells the versions at work.
pub fn versions() -> Versions {
    Versions {
        svertka: env!("CARGO_PKG_VERSION").into(),
        tch: "0.26".into(),
        libtorch: "2.13.0".into(),
        device: device::find().map(device::name).unwrap_or_default(),
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            svertka,
            tch,
            libtorch,
            device,
        } = self;
        write!(
            f,
            "svertka {svertka} · tch {tch} · libtorch {libtorch} · {device}"
        )
    }
}

shows_itself!(Versions);

impl Show for Versions {}
