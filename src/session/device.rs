//! CUDA when there is one that works, otherwise the CPU; `SVERTKA_DEVICE` decides.

use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use tch::{Cuda, Device, Kind, Tensor};

use super::{allocator, error, texts, threads, torch};
use crate::Result;

const CUDA_LIBRARY: &str = "libtorch_cuda.so";

/// Where a model's weights go. A GPU is told of when it comes into use.
pub(crate) fn choose() -> Result<Device> {
    // The loaded library remembers it: a `static` would begin anew in every evcxr cell.
    let was_in_use = loaded(CUDA_LIBRARY).is_some();
    let device = find()?;
    if device.is_cuda() && !was_in_use {
        println!("{}", texts::gpu_in_use(name(device)));
    }
    Ok(device)
}

/// The same, without telling.
pub(crate) fn find() -> Result<Device> {
    let wish = std::env::var("SVERTKA_DEVICE").unwrap_or_default();
    let device = match parse(&wish)? {
        Some(Device::Cpu) => Device::Cpu,
        Some(_) if !has_cuda() => return Err(error(texts::no_gpu(wish))),
        Some(device) => {
            try_out(device).map_err(|e| error(texts::device_fails(&wish, torch(e))))?;
            device
        }
        None if has_cuda() && try_out(Device::Cuda(0)).is_ok() => Device::Cuda(0),
        None => Device::Cpu,
    };
    if device == Device::Cpu {
        allocator::keep(allocator::USUAL);
        threads::limit();
    }
    Ok(device)
}

/// The learner's choice; none is an empty one.
fn parse(wish: &str) -> Result<Option<Device>> {
    let wish = wish.trim();
    let number = wish.strip_prefix("cuda:").map(str::parse::<u8>);
    match (wish, number) {
        ("", _) => Ok(None),
        ("cpu", _) => Ok(Some(Device::Cpu)),
        ("cuda", _) => Ok(Some(Device::Cuda(0))),
        (_, Some(Ok(number))) => Ok(Some(Device::Cuda(number.into()))),
        _ => Err(error(texts::bad_device(wish))),
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

/// Whether libtorch finds a GPU. Its CUDA half must be loaded before the first question about CUDA: libtorch remembers the
/// answer. That costs 150–400 ms, so it is loaded only beside a driver.
fn has_cuda() -> bool {
    let library = loaded("libtorch_cpu.so").and_then(|cpu| cuda_library(Path::new("/"), &cpu));
    let library = library.and_then(|path| CString::new(path.into_os_string().into_vec()).ok());
    let Some(library) = library else {
        return false;
    };
    #[allow(unsafe_code)]
    // SAFETY: the path is a C string that lives through the call; the library is libtorch's own, made to be loaded in
    // this way. Nothing else loads it: the linker drops a library of which no symbol is named.
    let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        return false;
    }
    configure_cudnn(handle);
    Cuda::is_available()
}

/// Makes convolutions on a GPU as repeatable and as exact as on the CPU: added up in a fixed order, in float32, not in TF32
/// with its 10 bits. Without that an epoch of the lesson's CNN takes as long. `tch` has no calls for it, so libtorch's own
/// are looked up: one that lacks them computes as it is set. Returns whether they are there.
fn configure_cudnn(libtorch: *mut c_void) -> bool {
    let names = [
        c"_ZN2at13globalContextEv",
        c"_ZN2at7Context21setDeterministicCuDNNEb",
        c"_ZN2at7Context17setAllowTF32CuDNNEb",
    ];
    #[allow(unsafe_code)]
    // SAFETY: the library stays loaded, and the names are C strings.
    let found = names.map(|name| unsafe { libc::dlsym(libtorch, name.as_ptr()) });
    if found.iter().any(|function| function.is_null()) {
        return false;
    }
    let [context, deterministic, tf32] = found;
    #[allow(unsafe_code)]
    // SAFETY: the names tell the types: `at::globalContext()`, which gives a reference to what lives as long as the process,
    // and two functions of it that take a `bool`.
    unsafe {
        let context: extern "C" fn() -> *mut c_void = std::mem::transmute(context);
        let deterministic: extern "C" fn(*mut c_void, bool) = std::mem::transmute(deterministic);
        let tf32: extern "C" fn(*mut c_void, bool) = std::mem::transmute(tf32);
        deterministic(context(), true);
        tf32(context(), false);
    }
    true
}

/// The CUDA half of the libtorch whose CPU half is `cpu`, if the system below `root` has an NVIDIA driver.
fn cuda_library(root: &Path, cpu: &Path) -> Option<PathBuf> {
    // The driver's own, a container's that has only its devices, and Windows's.
    let driver = ["proc/driver/nvidia/version", "dev/nvidiactl", "dev/dxg"];
    let library = cpu.with_file_name(CUDA_LIBRARY);
    let has_driver = driver.iter().any(|path| root.join(path).exists());
    (has_driver && library.exists()).then_some(library)
}

/// The path from which this process has loaded the library `name`.
fn loaded(name: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines()
        .filter_map(|line| Some(Path::new(&line[line.find('/')?..])))
        .find(|path| path.file_name().is_some_and(|file| file == name))
        .map(Path::to_path_buf)
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
        let cpu = folder.path().join("libtorch_cpu.so");
        let library = folder.path().join("libtorch_cuda.so");
        assert_eq!(cuda_library(root.path(), &cpu), None);
        std::fs::write(&library, "").unwrap();
        assert_eq!(cuda_library(root.path(), &cpu), None, "no driver");
        for driver in ["proc/driver/nvidia/version", "dev/nvidiactl", "dev/dxg"] {
            let root = tempfile::tempdir().unwrap();
            let driver = root.path().join(driver);
            std::fs::create_dir_all(driver.parent().unwrap()).unwrap();
            std::fs::write(&driver, "").unwrap();
            assert_eq!(cuda_library(root.path(), &cpu), Some(library.clone()));
            let elsewhere = root.path().join("libtorch_cpu.so");
            assert_eq!(cuda_library(root.path(), &elsewhere), None, "no library");
        }
    }

    #[test]
    fn this_libtorch_has_the_calls_for_cudnn() {
        let _ = Tensor::from_slice(&[1.0]);
        let cpu = loaded("libtorch_cpu.so").unwrap().into_os_string();
        let cpu = CString::new(cpu.into_vec()).unwrap();
        #[allow(unsafe_code)]
        // SAFETY: it is loaded already: this only gives its handle.
        let handle = unsafe { libc::dlopen(cpu.as_ptr(), libc::RTLD_NOW) };
        assert!(configure_cudnn(handle));
    }

    #[test]
    fn libtorch_is_found_where_it_was_loaded() {
        let _ = Tensor::from_slice(&[1.0]);
        assert!(loaded("libtorch_cpu.so").unwrap().exists());
        assert_eq!(loaded("libtorch_nothing.so"), None);
    }
}
