//! Puts Swagger UI and the files of `page/` into one document, and prepares it to be served.

use std::error::Error;
use std::io::{Cursor, Read, Seek};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

fn main() -> Result<(), Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    check_version(&mut archive)?;
    let mut document = include_str!("page/docs.html").to_owned();
    for (place, text) in [
        ("{LICENSE}", file(&mut archive, "LICENSE")?),
        ("{NOTICE}", file(&mut archive, "NOTICE")?),
        ("{swagger-ui.css}", file(&mut archive, "dist/swagger-ui.css")?),
        ("{docs.css}", include_str!("page/docs.css").to_owned()),
        ("{swagger-ui-bundle.js}", file(&mut archive, "dist/swagger-ui-bundle.js")?),
        ("{docs.js}", include_str!("page/docs.js").to_owned()),
    ] {
        let (before, after) = document.split_once(place).ok_or(format!("page/docs.html has no {place}"))?;
        document = [before, &text, after].concat();
    }
    Ok(page_build::write_html(&document)?)
}

/// Fails unless the bill of materials has the version of the archive.
fn check_version(archive: &mut ZipArchive<impl Read + Seek>) -> Result<(), Box<dyn Error>> {
    let folder = folder(archive)?;
    let version = folder.trim_start_matches("swagger-ui-");
    if include_str!("page/third-party.json").contains(&format!("\"pkg:npm/swagger-ui-dist@{version}\"")) {
        return Ok(());
    }
    Err(format!("page/third-party.json has another version of Swagger UI than {version}").into())
}

/// The folder that all files of the archive are in: `swagger-ui-5.32.6`.
fn folder(archive: &mut ZipArchive<impl Read + Seek>) -> Result<String, Box<dyn Error>> {
    let first = archive.by_index(0)?.name()?.into_owned();
    Ok(first.split('/').next().unwrap_or_default().to_owned())
}

/// A file of the archive, without the reference to its source map, which is not served.
fn file(archive: &mut ZipArchive<impl Read + Seek>, name: &str) -> Result<String, Box<dyn Error>> {
    let path = format!("{}/{name}", folder(archive)?);
    let mut text = String::new();
    archive.by_name(&path)?.read_to_string(&mut text)?;
    let source_map = name.trim_start_matches("dist/");
    Ok(text.replace(&format!("/*# sourceMappingURL={source_map}.map*/"), ""))
}
