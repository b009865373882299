//! Puts Swagger UI and the files of `page/` into one document, and prepares it to be served.

use std::error::Error;
use std::io::{Cursor, Read, Seek};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

fn main() -> Result<(), Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut document = include_str!("page/docs.html").to_owned();
    for (place, text) in [
        ("{swagger-ui.css}", file(&mut archive, "swagger-ui.css")?),
        ("{docs.css}", include_str!("page/docs.css").to_owned()),
        ("{swagger-ui-bundle.js}", file(&mut archive, "swagger-ui-bundle.js")?),
        ("{docs.js}", include_str!("page/docs.js").to_owned()),
    ] {
        let (before, after) = document.split_once(place).ok_or(format!("page/docs.html has no {place}"))?;
        document = [before, &text, after].concat();
    }
    Ok(page_build::write_html(&document)?)
}

/// A file of the distribution, without the reference to its source map, which is not served.
fn file(archive: &mut ZipArchive<impl Read + Seek>, name: &str) -> Result<String, Box<dyn Error>> {
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        if file.name()?.ends_with(&format!("/dist/{name}")) {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            return Ok(text.replace(&format!("/*# sourceMappingURL={name}.map*/"), ""));
        }
    }
    Err(format!("Swagger UI has no {name}").into())
}
