//! Container images without a registry: programs of this machine with the libraries that they need, as an OCI archive.
//!
//! One layer, no base image. What is copied is what Debian's packages have installed here, so a container runs the
//! very programs that the lab runs without a container. Deliberately absent: how an image gets into a runtime.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ring::digest::{Digest, SHA256, digest};
use serde_json::{Value, json};

use crate::{LabError, LabResult, scratch::make_dir, tools};

/// The users that programs of an image may look up.
const PASSWD: &str = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
/// Directories that programs expect, besides those of their own files.
const DIRECTORIES: [&str; 6] = [
    "tmp",
    "run",
    "var/tmp",
    "var/lib/nginx",
    "var/log/nginx",
    "etc",
];
/// Where a program lands by its name.
const BIN: &str = "/usr/bin";

/// What an image will hold. Nothing is read before it is packed.
#[derive(Clone, Debug)]
#[must_use]
pub struct Image {
    name: String,
    /// Path in the image, and where it is taken from.
    programs: BTreeMap<PathBuf, PathBuf>,
    /// Directories of plug-ins, at the same path on both sides.
    plugins: Vec<PathBuf>,
    entrypoint: Vec<String>,
}

impl Image {
    /// An empty image of that name, such as `docker.io/library/nginx:latest`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            programs: BTreeMap::new(),
            plugins: Vec::new(),
            entrypoint: Vec::new(),
        }
    }

    /// nginx as Debian packages it, by the name that manifests use. Without a configuration of its own.
    ///
    /// # Errors
    /// [`LabError::MissingTool`].
    pub fn nginx() -> LabResult<Self> {
        let image = Self::new("docker.io/library/nginx:latest").programs(&["nginx"])?;
        Ok(image.command(&["/usr/bin/nginx", "-g", "daemon off;"]))
    }

    /// A client: curl, a shell and sleep, by the name that manifests use.
    ///
    /// # Errors
    /// [`LabError::MissingTool`].
    pub fn curl() -> LabResult<Self> {
        let image = Self::new("docker.io/curlimages/curl:latest");
        Ok(image
            .programs(&["curl", "sh", "sleep"])?
            .command(&["/usr/bin/curl"]))
    }

    /// Adds programs by their names, found on this machine, under `/usr/bin`. `/bin/sh` is one of them where `sh` is.
    ///
    /// # Errors
    /// [`LabError::MissingTool`].
    pub fn programs(mut self, names: &[&str]) -> LabResult<Self> {
        for name in names {
            let found = tools::find(name.as_ref())?;
            self.programs.insert(Path::new(BIN).join(name), found);
        }
        Ok(self)
    }

    /// Adds the program that lies at `source`, as `/usr/bin/NAME`, and makes it what a container runs unless told
    /// otherwise; a container's `args` are its arguments.
    pub fn entrypoint(mut self, name: &str, source: &Path) -> Self {
        let path = Path::new(BIN).join(name);
        self.entrypoint = vec![path.display().to_string()];
        self.programs.insert(path, source.to_owned());
        self
    }

    /// What a container runs unless told otherwise.
    pub fn command(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(ToString::to_string).collect();
        self
    }

    /// Adds a directory of shared objects that a program loads by itself, where this machine has it.
    pub fn plugins(mut self, dir: impl Into<PathBuf>) -> Self {
        self.plugins.push(dir.into());
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the archive `FILE.tar` into `dir` with `file` as its name's stem, and gives its path.
    ///
    /// # Errors
    /// [`LabError::Io`] or [`LabError::Tool`] where a file cannot be read or written.
    pub fn pack(&self, dir: &Path, file: &str) -> LabResult<PathBuf> {
        let work = dir.join(file);
        make_dir(&work)?;
        let (root, layout) = (work.join("root"), work.join("layout"));
        self.fill(&root)?;
        let layer = work.join("layer.tar");
        tar(&layer, &root)?;
        self.lay_out(&layout, &layer)?;
        let archive = dir.join(format!("{file}.tar"));
        tar(&archive, &layout)?;
        fs::remove_dir_all(&work).map_err(LabError::io(format!("remove {}", work.display())))?;
        Ok(archive)
    }

    /// The root file system.
    fn fill(&self, root: &Path) -> LabResult<()> {
        for dir in DIRECTORIES {
            let dir = root.join(dir);
            fs::create_dir_all(&dir).map_err(LabError::io(format!("create {}", dir.display())))?;
        }
        let tmp = root.join("tmp");
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777))
            .map_err(LabError::io(format!("open {} to all", tmp.display())))?;
        for (name, text) in [("passwd", PASSWD), ("group", GROUP)] {
            let path = root.join("etc").join(name);
            fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))?;
        }
        let mut files: BTreeMap<PathBuf, PathBuf> = self.programs.clone();
        for plugin in self.plugins.iter().flat_map(|dir| entries(dir)) {
            files.insert(plugin.clone(), plugin);
        }
        for library in libraries(files.values())? {
            files.insert(library.clone(), library);
        }
        if let Some(shell) = self.programs.get(&Path::new(BIN).join("sh")) {
            files.insert("/bin/sh".into(), shell.clone());
        }
        files
            .iter()
            .try_for_each(|(path, source)| copy(source, &inside(root, path)))
    }

    /// The files of an OCI image layout, see the image specification's `image-layout.md`.
    fn lay_out(&self, layout: &Path, layer: &Path) -> LabResult<()> {
        let read =
            |path: &Path| fs::read(path).map_err(LabError::io(format!("read {}", path.display())));
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(LabError::io(format!("create {}", blobs.display())))?;
        let layer = add(
            &blobs,
            &read(layer)?,
            "application/vnd.oci.image.layer.v1.tar",
        )?;
        let config = json!({
            "architecture": architecture(), "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            // One uncompressed layer: its digest is that of the blob.
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
        });
        let config = add(
            &blobs,
            config.to_string().as_bytes(),
            "application/vnd.oci.image.config.v1+json",
        )?;
        let manifest_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [layer],
        });
        let mut manifest = add(&blobs, manifest.to_string().as_bytes(), manifest_type)?;
        manifest["annotations"] = json!({ "io.containerd.image.name": self.name });
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        for (name, content) in [
            ("oci-layout", json!({ "imageLayoutVersion": "1.0.0" })),
            ("index.json", index),
        ] {
            let path = layout.join(name);
            fs::write(&path, content.to_string())
                .map_err(LabError::io(format!("write {}", path.display())))?;
        }
        Ok(())
    }
}

/// Keeps a blob under its digest and gives its descriptor.
fn add(blobs: &Path, content: &[u8], media_type: &str) -> LabResult<Value> {
    let hex = hex(&digest(&SHA256, content));
    let path = blobs.join(&hex);
    fs::write(&path, content).map_err(LabError::io(format!("write {}", path.display())))?;
    Ok(json!({
        "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": content.len(),
    }))
}

/// A digest as it is written.
pub(super) fn hex(digest: &Digest) -> String {
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// This machine's processor, as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Every shared library that these files load when they start, by the words of `ldd`; static ones load none.
fn libraries<'f>(files: impl IntoIterator<Item = &'f PathBuf>) -> LabResult<Vec<PathBuf>> {
    let told = Command::new(tools::find("ldd".as_ref())?)
        .args(files)
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::io("run ldd"))?;
    // Its exit status tells of static files too, which are no fault; a missing library is.
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    if let Some(line) = told.lines().find(|line| line.contains("not found")) {
        return Err(LabError::Tool {
            command: "ldd".to_owned(),
            status: "a library is missing".to_owned(),
            stderr: line.trim().to_owned(),
        });
    }
    let mut found: Vec<PathBuf> = told.lines().filter_map(library).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// The library of one line: `NAME => PATH (0x...)`, or `PATH (0x...)` for the loader.
fn library(line: &str) -> Option<PathBuf> {
    let (words, _) = line.trim().rsplit_once(" (0x")?;
    let path = words.rsplit("=> ").next()?;
    path.starts_with('/').then(|| path.into())
}

/// The files of a directory; none where there is no such directory.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect()
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Copies a file to a place in the image, executable for all; a link becomes what it points to.
fn copy(source: &Path, path: &Path) -> LabResult<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(LabError::io(format!("create {}", parent.display())))?;
    }
    tools::copy_program(source, path)
}

/// Archives a directory's content, which belongs to root inside.
fn tar(archive: &Path, dir: &Path) -> LabResult<()> {
    let done = Command::new(tools::find("tar".as_ref())?)
        .args([
            "--numeric-owner",
            "--owner=0",
            "--group=0",
            "--sort=name",
            "-cf",
        ])
        .arg(archive)
        .arg("-C")
        .arg(dir)
        .arg(".")
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::io("run tar"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(LabError::Tool {
        command: format!("tar -cf {} {}", archive.display(), dir.display()),
        status: done.status.to_string(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    })
}
