//! `cargo xtask build`: the Workers as wrangler bundles them.
//!
//! cargo makes wasm, wasm-bindgen (as a library) writes the JavaScript that joins it to the Worker's entry module, wasm-opt makes the wasm
//! smaller, and esbuild takes comments and long names out of the JavaScript: that is `build/`. wrangler runs this command
//! for `wrangler dev` and `wrangler deploy`, so it has to be quick when nothing changed.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process;

use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_bindgen_cli_support::Bindgen;

use crate::dist::reproducible;
use crate::failure::Failure;
use crate::files;
use crate::program;
use crate::setup::{self, WASM_TARGET};
use crate::steps::timed;
use crate::workspace::Workspace;

/// A Worker, and what it is made of.
struct Worker {
    /// As a person calls it.
    name: &'static str,
    package: &'static str,
    /// The name of its crate, which its wasm has.
    krate: &'static str,
    /// The module that is written by hand.
    entry: &'static str,
    /// In `build/`.
    folder: &'static str,
    /// Every location fetches and starts it, and start-up may take one second at most.
    max_gzip_bytes: usize,
}

const WORKERS: [Worker; 2] = [
    Worker {
        name: "the gate",
        package: "keygate",
        krate: "keygate",
        entry: "src/gate/entry.js",
        folder: "gate",
        max_gzip_bytes: 250_000,
    },
    Worker {
        name: "the control Worker",
        package: "keygate-control",
        krate: "keygate_control",
        entry: "src/control/entry.js",
        folder: "control",
        max_gzip_bytes: 600_000,
    },
];

impl Worker {
    fn place(&self, workspace: &Workspace) -> PathBuf {
        workspace.bundles().join(self.folder)
    }

    fn wasm(&self) -> String {
        format!("{}_bg.wasm", self.krate)
    }
}

/// The JavaScript as wrangler makes one module of it; behind a dot, so that it is not taken for a part of the bundle.
const UPLOAD: &str = ".upload.js";

const SETUP_AND_BUILD: &str = "run `cargo xtask setup`, then build again";

/// Changes with what [`bind`] asks wasm-bindgen for, so that the bundle is made anew.
const BINDING: &str = "web, reset-state";

/// Each module by itself, because tests put modules of their own between.
const ESBUILD_FLAGS: [&str; 4] = ["--minify", "--format=esm", "--target=es2024", "--log-level=error"];

/// What wrangler does with `minify` and without `keep_names`, as wrangler.toml has it.
const UPLOAD_FLAGS: [&str; 7] = [
    "--bundle",
    "--external:*.wasm",
    "--external:cloudflare:*",
    "--minify",
    "--format=esm",
    "--target=es2024",
    "--log-level=error",
];

const WASM_OPT_FLAGS: [&str; 8] = [
    "-O3",
    // What rustc enables for the target; wasm-opt refuses what it is not told of.
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
    // .cargo/config.toml asks for it.
    "--enable-simd",
];

pub(crate) fn build(workspace: &Workspace) -> Result<(), Failure> {
    setup::for_building(workspace)?;
    timed("the Workers, compiled to wasm", || {
        let packages = WORKERS.iter().map(|worker| format!("--package={}", worker.package));
        let mut command = workspace.command("cargo");
        command.args(["build", "--release", "--target", WASM_TARGET]).args(packages);
        // Not the checkout's: nothing in the wasm names it, and two checkouts can share what is compiled.
        reproducible::hide_paths(&mut command, workspace, WASM_TARGET, &[])?;
        program::run(&mut command, "see the compiler's errors above")
    })?;
    WORKERS.iter().try_for_each(|worker| worker.build(workspace))
}

impl Worker {
    fn build(&self, workspace: &Workspace) -> Result<(), Failure> {
        let wasm = workspace.target().join(WASM_TARGET).join("release").join(format!("{}.wasm", self.krate));
        let stamp = self.stamp(workspace, &wasm)?;
        let stamp_file = self.place(workspace).join(".stamp");
        if fs::read_to_string(&stamp_file).ok().as_ref() != Some(&stamp) {
            timed(&format!("{}, bundled into build/{}/", self.name, self.folder), || {
                self.bundle(workspace, &wasm)?;
                self.make_upload(workspace)?;
                fs::write(&stamp_file, stamp).map_err(|error| files::not_written(&stamp_file, &error))
            })?;
        }
        self.check_size(workspace)
    }

    /// Everything that the bundle is made from, as one number.
    fn stamp(&self, workspace: &Workspace, wasm: &Path) -> Result<String, Failure> {
        let mut hasher = DefaultHasher::new();
        files::read(wasm)?.hash(&mut hasher);
        workspace.read(self.entry)?.hash(&mut hasher);
        // The versions of wasm-bindgen, and of wasm-opt and esbuild.
        workspace.locked_version("wasm-bindgen")?.hash(&mut hasher);
        workspace.read("package-lock.json")?.hash(&mut hasher);
        (BINDING, WASM_OPT_FLAGS, ESBUILD_FLAGS, UPLOAD_FLAGS).hash(&mut hasher);
        Ok(format!("{:016x}", hasher.finish()))
    }

    fn bundle(&self, workspace: &Workspace, wasm: &Path) -> Result<(), Failure> {
        let place = self.place(workspace);
        // A running `wrangler dev` watches the files: each is replaced in one step, when all are done. Two builds may run at
        // once, as each wrangler starts its own.
        let staging = place.join(format!(".staging-{}", process::id()));
        // Behind a dot, so that it is not taken for a part of the bundle.
        let modules = staging.join(".modules");
        fs::create_dir_all(&modules).map_err(|error| files::not_written(&modules, &error))?;
        self.bind(wasm, &modules)?;
        program::run(
            workspace
                .command("wasm-opt")
                .args(WASM_OPT_FLAGS)
                .arg(modules.join(self.wasm()))
                .arg("-o")
                .arg(staging.join(self.wasm())),
            SETUP_AND_BUILD,
        )?;
        let copy = modules.join("entry.js");
        fs::copy(workspace.root().join(self.entry), &copy)
            .map_err(|error| files::not_written(&copy, &error))?;
        program::run(
            workspace
                .command("esbuild")
                .args(ESBUILD_FLAGS)
                .args(
                    files::visible_below(&modules)?
                        .iter()
                        .filter(|file| file.extension().is_some_and(|end| end == "js"))
                        .map(|file| modules.join(file)),
                )
                .arg(format!("--outdir={}", staging.display())),
            SETUP_AND_BUILD,
        )?;

        let old = files::visible_below(&place)?;
        let new = files::visible_below(&staging)?;
        for file in &new {
            let target = place.join(file);
            fs::create_dir_all(target.parent().unwrap_or(&place))
                .and_then(|()| fs::rename(staging.join(file), &target))
                .map_err(|error| files::not_written(&target, &error))?;
        }
        for file in old.difference(&new) {
            let target = place.join(file);
            fs::remove_file(&target).map_err(|error| files::not_written(&target, &error))?;
        }
        fs::remove_dir_all(&staging).map_err(|error| files::not_written(&staging, &error))
    }

    /// Writes the JavaScript that joins the wasm to the runtime. The library does it, so its version is the lock file's.
    fn bind(&self, wasm: &Path, modules: &Path) -> Result<(), Failure> {
        let mut bindgen = Bindgen::new();
        bindgen
            .input_path(wasm)
            .out_name(self.krate)
            .typescript(false)
            .remove_producers_section(true)
            // A fresh instance takes the place of one that has trapped.
            .reset_state_function(true);
        // `web` exports a function that takes a compiled module, which is what `import` of a .wasm file gives on Workers.
        let bound = bindgen.web(true).and_then(|bindgen| bindgen.generate(modules));
        bound.map_err(|error| Failure::new(format!("wasm-bindgen: {error:#}"), SETUP_AND_BUILD))
    }

    /// Joins the modules as wrangler will, for their size.
    fn make_upload(&self, workspace: &Workspace) -> Result<(), Failure> {
        let place = self.place(workspace);
        program::run(
            workspace
                .command("esbuild")
                .args(UPLOAD_FLAGS)
                .arg(place.join("entry.js"))
                .arg(format!("--outfile={}", place.join(UPLOAD).display())),
            SETUP_AND_BUILD,
        )
    }

    /// Prints the size of what wrangler uploads and fails when it is over the limit.
    ///
    /// The upload is two modules: wrangler joins the JavaScript. It puts a hash into the wasm's name, and so some 60 bytes more.
    fn check_size(&self, workspace: &Workspace) -> Result<(), Failure> {
        let mut total = Size { raw: 0, gzip: 0 };
        for (file, what) in [(UPLOAD.to_owned(), "JavaScript, joined"), (self.wasm(), "wasm")] {
            let size = Size::of(&self.place(workspace).join(file))?;
            println!("{size}  {}: {what}", self.name);
            total.raw += size.raw;
            total.gzip += size.gzip;
        }
        println!("{total}  {}: in all, of at most {} KB after gzip", self.name, self.max_gzip_bytes / 1000);
        if total.gzip > self.max_gzip_bytes {
            return Err(Failure::new(
                format!(
                    "{} has {} bytes after gzip; {} are allowed",
                    self.name, total.gzip, self.max_gzip_bytes
                ),
                "take out what made it grow: look for a new dependency, or for formatting of floats and Debug output",
            ));
        }
        Ok(())
    }
}

struct Size {
    raw: usize,
    gzip: usize,
}

impl Size {
    fn of(file: &Path) -> Result<Self, Failure> {
        let bytes = files::read(file)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = encoder.write_all(&bytes).and_then(|()| encoder.finish());
        let gzip = gzip.map_err(|error| Failure::new(format!("gzip failed: {error}"), "build again"))?;
        Ok(Self { raw: bytes.len(), gzip: gzip.len() })
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = |bytes: usize| (bytes / 1000, bytes % 1000 / 100);
        let ((raw, raw_tenth), (gzip, gzip_tenth)) = (tenths(self.raw), tenths(self.gzip));
        write!(f, "{raw:>4}.{raw_tenth} KB, gzip {gzip:>3}.{gzip_tenth} KB")
    }
}
