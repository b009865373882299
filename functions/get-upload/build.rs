//! Prepares the page to be served.

fn main() -> Result<(), page_build::Error> {
    page_build::write_html(include_str!("page/upload.html"))
}
