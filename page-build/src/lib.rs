//! For build scripts: prepares the content of a page for the function that serves it.
//!
//! A page never changes while its function runs, so its hash, its compressed form and its Content-Security-Policy are made
//! when the function is built. A build script calls [`write_html`] or [`write_json`], and the function includes the result,
//! an expression of the type `shared::PageContent`:
//!
//! ```text
//! const CONTENT: PageContent = include!(concat!(env!("OUT_DIR"), "/content.rs"));
//! ```
//!
//! A document is self-contained: its scripts and styles are elements in it, and the policy allows them by their hashes. So
//! nothing is loaded from elsewhere, no hash is maintained by hand, and a script that gets into the page in another way does
//! not run.

mod html;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

pub use html::InlineCode;

// A dependency on the checkout's path, which Cargo does not track by itself: see `CHECKOUT_DIR` in .cargo/config.toml.
const _: Option<&str> = option_env!("CHECKOUT_DIR");

/// A page that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy would block a part of the document.
    #[error("the page is not self-contained: {0}")]
    NotSelfContained(String),
    /// The build directory is unknown: the caller is not a build script.
    #[error("the environment variable OUT_DIR is not set: call this from a build script")]
    NoBuildDirectory,
    /// The content cannot be written.
    #[error("cannot write {}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The reason.
        error: io::Error,
    },
}

/// Writes the content of a page that is an HTML document.
///
/// # Errors
/// A document that is not self-contained, or a failure to write.
pub fn write_html(document: &str) -> Result<(), Error> {
    let policy = InlineCode::of(document)?.policy();
    write(&build_directory()?, "text/html; charset=utf-8", document, &policy)
}

/// Writes the content of a page that is a JSON document.
///
/// # Errors
/// A failure to write.
pub fn write_json(document: &str) -> Result<(), Error> {
    write(&build_directory()?, "application/json", document, "default-src 'none'; frame-ancestors 'none'")
}

fn build_directory() -> Result<PathBuf, Error> {
    env::var_os("OUT_DIR").map(PathBuf::from).ok_or(Error::NoBuildDirectory)
}

/// Writes the text, its compressed form, and the expression that names both.
fn write(directory: &Path, media_type: &str, text: &str, policy: &str) -> Result<(), Error> {
    let hash = hex::encode(&Sha256::digest(text)[..16]);
    let content = format!(
        "::shared::PageContent {{\n    media_type: {media_type:?},\n    text: include_str!(\"content\"),\n    \
         gzip: include_bytes!(\"content.gz\"),\n    hash: {hash:?},\n    content_security_policy: {policy:?},\n}}\n"
    );
    let write = |name: &str, bytes: &[u8]| {
        let file = directory.join(name);
        fs::write(&file, bytes).map_err(|error| Error::Write { file, error })
    };
    write("content", text.as_bytes())?;
    let compressed = gzip(text.as_bytes());
    write("content.gz", &compressed.map_err(|error| Error::Write { file: directory.join("content.gz"), error })?)?;
    write("content.rs", content.as_bytes())
}

/// The bytes in the format of RFC 1952, without a time, so that two builds of one document are equal.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_an_expression_that_names_the_text_and_its_compressed_form() {
        let directory = env::temp_dir().join(format!("page-build-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();

        write(&directory, "text/plain", "text", "default-src 'none'").unwrap();

        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
        let expected = r#"::shared::PageContent {
    media_type: "text/plain",
    text: include_str!("content"),
    gzip: include_bytes!("content.gz"),
    hash: "982d9e3eb996f559e633f4d194def376",
    content_security_policy: "default-src 'none'",
}
"#;
        assert_eq!((read("content.rs").as_str(), read("content").as_str()), (expected, "text"));
        let compressed = fs::read(directory.join("content.gz")).unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&compressed[..]), &mut text).unwrap();
        assert_eq!(text, "text");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error_that_names_the_file() {
        let error = write(Path::new("/nowhere"), "text/plain", "text", "").unwrap_err();
        assert!(error.to_string().starts_with("cannot write /nowhere/content: "), "{error}");
    }
}
