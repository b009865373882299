//! Prepares the description of the API to be served.

fn main() -> Result<(), page_build::Error> {
    page_build::write_json(include_str!("../../shared/openapi.json"))
}
