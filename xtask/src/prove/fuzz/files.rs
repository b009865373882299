//! Uploaded files: CSV, and the forms that carry it.

use std::sync::Arc;

use anyhow::{Result, ensure};
use bulk_upload_contacts::file;
use fastrand::Rng;
use shared::Endpoint;
use shared::wire::{Cells, columns};

use super::generate::{VALUES, json, mutate, once_in, pick, text};
use super::pipeline::{Pipeline, request};
use super::requests::{verdict, with_body};
use super::runner::Target;

/// The targets of this module.
pub(super) fn targets(pipeline: &Arc<Pipeline>) -> Vec<Target> {
    vec![csv_target(pipeline), multipart_target(pipeline)]
}

/// A file. Its rows, written again in the plainest form, are the same rows.
fn csv_target(pipeline: &Arc<Pipeline>) -> Target {
    let pipeline = Arc::clone(pipeline);
    let request = request(Endpoint::BulkUploadContacts).header("content-type", "text/csv");
    Target::new(
        "csv",
        |rng| {
            let file = csv(rng);
            mutate(rng, file)
        },
        move |input| {
            let response = pipeline.send(Endpoint::BulkUploadContacts, with_body(&request, input).event())?;
            if let Ok(rows) = file::rows(input) {
                // A row with cells of unknown columns only would be a blank line when it is written again.
                let rows: Vec<Cells> = rows.filter_map(Result::ok).filter(|cells| !cells.is_empty()).collect();
                let written = write(&rows);
                let again: Vec<Cells> = file::rows(written.as_bytes())?.collect::<Result<_, _>>()?;
                let sorted = |mut rows: Vec<Cells>| {
                    for cells in &mut rows {
                        cells.sort();
                    }
                    rows
                };
                ensure!(sorted(again) == sorted(rows), "the rows of {written:?} differ from those that were written");
            }
            Ok(verdict(&response))
        },
    )
}

/// A file with every known column and every value in quotes.
fn write(rows: &[Cells]) -> String {
    let names: Vec<_> = columns().iter().map(|column| column.name).collect();
    let line = |row: &Cells| {
        let cell = |name: &&str| {
            let cell = row.iter().find(|(column, _)| column == name).map(|(_, cell)| cell.replace('"', "\"\""));
            format!("\"{}\"", cell.unwrap_or_default())
        };
        names.iter().map(cell).collect::<Vec<_>>().join(",")
    };
    let lines: Vec<_> = [names.join(",")].into_iter().chain(rows.iter().map(line)).collect();
    lines.join("\n")
}

/// A file in one of the forms that spreadsheets produce.
fn csv(rng: &mut Rng) -> Vec<u8> {
    let (delimiter, line_break) = (pick(rng, &[",", ";", "\t"]), pick(rng, &["\n", "\r\n", "\r"]));
    let mut names = vec!["full_name", "email", "linkedin_profile"];
    for name in ["company", "locale", "timezone", "metadata", "enrichment", "note", " EMAIL", ""] {
        if once_in(rng, 4) {
            names.push(name);
        }
    }
    rng.shuffle(&mut names);
    let mut file = pick(rng, &["", "", "\u{FEFF}", "\n", "sep=;\n"]).to_owned();
    file += &names.join(delimiter);
    for row in 0..rng.u32(..6) {
        let cells: Vec<_> = names.iter().map(|name| cell(rng, name, row)).collect();
        file += line_break;
        file += &cells.join(delimiter);
    }
    file += pick(rng, &["", line_break, ",,,\n"]);
    file.into_bytes()
}

fn cell(rng: &mut Rng, column: &str, row: u32) -> String {
    let cell = match (column, rng.u32(..6)) {
        (_, 0) => pick(rng, &VALUES).to_owned(),
        (_, 1) => text(rng, 8),
        ("email", _) => format!("jane{row}@example.com"),
        ("full_name", _) => "Jane Doe".to_owned(),
        ("linkedin_profile", _) => "in/janedoe".to_owned(),
        ("metadata" | "enrichment", _) => json(rng, 2).to_string(),
        _ => String::new(),
    };
    let needs_quotes = cell.contains(['"', ',', ';', '\t', '\r', '\n']);
    if needs_quotes || once_in(rng, 4) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// A content type in the first line, and a form in the others.
fn multipart_target(pipeline: &Arc<Pipeline>) -> Target {
    let pipeline = Arc::clone(pipeline);
    let request = request(Endpoint::BulkUploadContacts);
    Target::new("multipart", multipart, move |input| {
        let line_break = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let (content_type, form) = input.split_at(line_break);
        let content_type = String::from_utf8_lossy(content_type);
        let request = request.clone().header("content-type", &content_type);
        let form = form.strip_prefix(b"\n").unwrap_or(form);
        Ok(verdict(&pipeline.send(Endpoint::BulkUploadContacts, with_body(&request, form).event())?))
    })
}

fn multipart(rng: &mut Rng) -> Vec<u8> {
    let boundary = pick(rng, &["a", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "a b", "é", ""]);
    let quote = pick(rng, &["", "\""]);
    let mut form = format!("multipart/form-data; boundary={quote}{boundary}{quote}\n").into_bytes();
    for _ in 0..rng.u32(1..4) {
        let name = pick(rng, &["file", "file", "note", "\"", ""]);
        let headers =
            pick(rng, &["", "Content-Type: text/csv\r\n", "X: y\r\n", "Content-Transfer-Encoding: base64\r\n"]);
        form.extend(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.csv\"\r\n").bytes(),
        );
        form.extend(format!("{headers}\r\n").bytes());
        form.extend(csv(rng));
        form.extend(b"\r\n");
    }
    form.extend(format!("--{boundary}{}", pick(rng, &["--\r\n", "--", "", "\r\n"])).bytes());
    mutate(rng, form)
}
