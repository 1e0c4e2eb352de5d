#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_library_is_read_from_each_form_of_line() {
    let read = |line| library(line).map(|path| path.display().to_string());
    for (line, path) in [
        (
            "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f5c)",
            Some("/lib/x86_64-linux-gnu/libc.so.6"),
        ),
        (
            "\t/lib64/ld-linux-x86-64.so.2 (0x00007f5d)",
            Some("/lib64/ld-linux-x86-64.so.2"),
        ),
        ("\tlinux-vdso.so.1 (0x00007ffe)", None),
        ("\tstatically linked", None),
        ("/usr/bin/curl:", None),
    ] {
        assert_eq!(read(line).as_deref(), path, "{line:?}");
    }
}

/// A program runs with the image as its whole file system, so nothing that it loads is missing.
#[test]
fn a_program_finds_all_that_it_needs_inside() {
    let dir = std::env::temp_dir().join(format!("podwall-image-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let image = Image::new("example.org/curl:1").programs(&["sh", "curl"]);
    image.unwrap().fill(&dir.join("root")).unwrap();
    let inside = Command::new(tools::find("chroot".as_ref()).unwrap())
        .arg(dir.join("root"))
        .args(["/bin/sh", "-c", "exec curl --version"])
        .output()
        .unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let printed = String::from_utf8_lossy(&inside.stdout).into_owned();
    assert!(printed.starts_with("curl "), "{printed}{inside:?}");
}

/// Digests and sizes are those of the blobs, and the name is where a runtime looks for it.
#[test]
fn the_archive_is_an_image_layout() {
    let dir = std::env::temp_dir().join(format!("podwall-layout-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let image = Image::new("example.org/sleeper:1")
        .programs(&["sleep"])
        .unwrap();
    let archive = image
        .command(&["/usr/bin/sleep", "1"])
        .pack(&dir, "sleeper")
        .unwrap();
    let read = |file: &str| {
        let out = Command::new("tar")
            .arg("-xOf")
            .arg(&archive)
            .arg(format!("./{file}"))
            .output();
        out.unwrap().stdout
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let blob = |descriptor: &Value| {
        let (_, hex) = descriptor["digest"]
            .as_str()
            .unwrap()
            .split_once(':')
            .unwrap();
        let bytes = read(&format!("blobs/sha256/{hex}"));
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    };
    let index = json(&read("index.json"));
    let entry = &index["manifests"][0];
    assert_eq!(
        entry["annotations"]["io.containerd.image.name"],
        "example.org/sleeper:1"
    );
    let manifest = json(&blob(entry));
    let config = json(&blob(&manifest["config"]));
    assert_eq!(
        config["config"]["Entrypoint"],
        json!(["/usr/bin/sleep", "1"])
    );
    assert_eq!(
        config["rootfs"]["diff_ids"][0],
        manifest["layers"][0]["digest"]
    );
    assert!(!blob(&manifest["layers"][0]).is_empty());
    assert_eq!(json(&read("oci-layout"))["imageLayoutVersion"], "1.0.0");
    fs::remove_dir_all(&dir).unwrap();
}
