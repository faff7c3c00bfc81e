//! Tells the linker where libtorch lies, so that tests, examples and benches run without `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    // `torch-sys` declares `links = "tch"` and prints the folder that it found.
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
