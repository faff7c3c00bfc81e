//! CUDA when there is one that works, otherwise the CPU; `SVERTKA_DEVICE` decides.

use std::path::{Path, PathBuf};

use tch::{Cuda, Device, Kind, Tensor};

use super::{allocator, display, error, texts, torch};
use crate::Result;

/// Where a model's weights go, said once for a process.
pub(crate) fn choose() -> Result<Device> {
    let device = find()?;
    announce(device);
    Ok(device)
}

/// The same, without saying it.
pub(crate) fn find() -> Result<Device> {
    let wish = std::env::var("SVERTKA_DEVICE").unwrap_or_default();
    let device = match parse(&wish)? {
        Some(Device::Cpu) => Device::Cpu,
        Some(device) => {
            load_cuda();
            try_out(device).map_err(|e| error(texts::device_fails(&wish, torch(e))))?;
            device
        }
        None if load_cuda() && Cuda::is_available() && try_out(Device::Cuda(0)).is_ok() => {
            Device::Cuda(0)
        }
        None => Device::Cpu,
    };
    if device == Device::Cpu {
        allocator::keep_buffers();
    }
    Ok(device)
}

/// The learner's choice; none is an empty one.
fn parse(wish: &str) -> Result<Option<Device>> {
    match wish.trim() {
        "" => Ok(None),
        "cpu" => Ok(Some(Device::Cpu)),
        "cuda" => Ok(Some(Device::Cuda(0))),
        other => match other
            .strip_prefix("cuda:")
            .and_then(|n| n.parse::<u8>().ok())
        {
            Some(n) => Ok(Some(Device::Cuda(n.into()))),
            None => Err(error(texts::bad_device(other))),
        },
    }
}

/// A device that is there may still be too old for this libtorch: only a computation tells.
fn try_out(device: Device) -> tch::Result<()> {
    let sum = Tensor::f_ones([4], (Kind::Float, device))?.f_sum(Kind::Float)?;
    f64::try_from(sum).map(|_| ())
}

/// `cpu`, `cuda:0`.
pub(crate) fn name(device: Device) -> String {
    match device {
        Device::Cuda(n) => format!("cuda:{n}"),
        _ => "cpu".to_string(),
    }
}

/// The variable that remembers that the device was said: a `static` would begin anew in every evcxr cell.
const SAID: &str = "SVERTKA_DEVICE_SAID";

fn announce(device: Device) {
    let name = name(device);
    if std::env::var(SAID).is_ok_and(|said| said == name) {
        return;
    }
    #[allow(unsafe_code)]
    // The environment is the one store that all of a process's cells share. Sound as far as setting a variable is: the
    // C library locks it, and libtorch's threads read the environment only while it loads.
    unsafe {
        std::env::set_var(SAID, &name);
    }
    display::print(&texts::device(name));
}

/// Whether libtorch's CUDA half is in this process, or could be loaded. It must be asked before the first question
/// about CUDA: libtorch remembers the answer. It costs 150–400 ms, so it is loaded only beside a driver.
fn load_cuda() -> bool {
    let Some(folder) = libtorch_folder() else {
        return false;
    };
    let Some(library) = cuda_library(Path::new("/"), &folder) else {
        return false;
    };
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    #[allow(unsafe_code)]
    // The linker drops the library because no symbol of it is named. Sound: it is libtorch's own, from libtorch's own
    // folder, made to be loaded this way.
    match unsafe { Library::open(Some(&library), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            // It must stay for the life of the process.
            std::mem::forget(library);
            true
        }
        Err(_) => false,
    }
}

/// `libtorch_cuda.so` in libtorch's `folder`, if the system below `root` has an NVIDIA driver.
fn cuda_library(root: &Path, folder: &Path) -> Option<PathBuf> {
    let driver = ["proc/driver/nvidia/version", "dev/dxg"];
    if !driver.iter().any(|path| root.join(path).exists()) {
        return None;
    }
    let library = folder.join("libtorch_cuda.so");
    library.exists().then_some(library)
}

/// The folder from which this process has loaded libtorch.
fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps
        .lines()
        .find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let path = &line[line.find('/')?..];
    Path::new(path).parent().map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes() {
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(parse("cpu").unwrap(), Some(Device::Cpu));
        assert_eq!(parse("cuda:1").unwrap(), Some(Device::Cuda(1)));
        for bad in ["gpu", "cuda:x", "cuda:-1", "CPU0"] {
            let message = parse(bad).unwrap_err().to_string();
            assert!(
                message.contains(bad) && message.contains("SVERTKA_DEVICE"),
                "{message}"
            );
        }
    }

    #[test]
    fn cuda_is_loaded_only_beside_a_driver() {
        let root = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libtorch_cuda.so");
        assert_eq!(cuda_library(root.path(), folder.path()), None);
        std::fs::write(&library, "").unwrap();
        assert_eq!(cuda_library(root.path(), folder.path()), None, "no driver");
        let driver = root.path().join("proc/driver/nvidia");
        std::fs::create_dir_all(&driver).unwrap();
        std::fs::write(driver.join("version"), "").unwrap();
        assert_eq!(
            cuda_library(root.path(), folder.path()),
            Some(library.clone())
        );
        std::fs::remove_file(&library).unwrap();
        assert_eq!(cuda_library(root.path(), folder.path()), None, "no library");
    }

    #[test]
    fn libtorch_is_found_where_it_was_loaded() {
        let _ = Tensor::from_slice(&[1.0]);
        assert!(libtorch_folder().unwrap().join("libtorch_cpu.so").exists());
    }
}
