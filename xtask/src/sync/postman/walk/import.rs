//! An import, from its creation to the list of its contacts.

use shared::Endpoint;

use super::super::step::{Body, Folder, Step};

pub(super) const FOLDER: Folder = Folder {
    name: "Import",
    description: "Loads contacts: create an import, add contacts with `X-Import-ID`, and complete the import. Run it first: the \
                  folders Campaign, CRM sync and Clean-up use what it creates.",
    steps: STEPS,
};

const STEPS: &[Step] = &[
    Step {
        note: "Begin every load with an import, and send its id as `X-Import-ID` with each contact.",
        headers: &[("Idempotency-Key", "{{$guid}}")],
        tests: &[("the import is in progress", r#"pm.expect(body.status).to.equal("processing");"#)],
        hands_on: &[("import_id", "body.id")],
        ..Step::to(Endpoint::CreateImport)
    },
    Step {
        name: "Create a contact in the import",
        note: "`{{$guid}}` makes the email new in each run. The URL of the profile is normalized.",
        headers: &[("X-Import-ID", "{{import_id}}"), ("Idempotency-Key", "{{$guid}}")],
        body: Body::Example(&[("john.doe@example.com", "john.doe.{{$guid}}@example.com")]),
        tests: &[
            (
                "the profile is in its standard form",
                r#"pm.expect(body.linkedin_profile).to.equal("https://www.linkedin.com/in/johndoe");"#,
            ),
            ("`metadata` is shown as `enrichment`", r#"pm.expect(body.enrichment.source).to.equal("website");"#),
        ],
        hands_on: &[("imported_contact_id", "body.id"), ("imported_contact_email", "body.email")],
        ..Step::to(Endpoint::CreateContact)
    },
    Step {
        name: "Create a contact with the same email: 409",
        note: "An email belongs to one contact of the organization. To change that contact, update it or use the bulk upload.",
        headers: &[("X-Import-ID", "{{import_id}}")],
        body: Body::Example(&[("john.doe@example.com", "{{imported_contact_email}}")]),
        status: Some(409),
        detail: Some("Contact with email '{{imported_contact_email}}' already exists"),
        ..Step::to(Endpoint::CreateContact)
    },
    Step {
        name: "Create a contact in an unknown import: 404",
        note: "Nothing is written.",
        headers: &[("X-Import-ID", "{{$guid}}")],
        body: Body::Example(&[("john.doe@example.com", "john.doe.{{$guid}}@example.com")]),
        status: Some(404),
        ..Step::to(Endpoint::CreateContact)
    },
    Step {
        name: "Upload a CSV with an invalid row: 400",
        note: "All rows are validated before the first write, so nothing is written, and the error names every invalid row.",
        headers: &[("X-Import-ID", "{{import_id}}")],
        body: CSV,
        status: Some(400),
        detail: Some("Validation error: row 2: email must be a valid email address"),
        ..Step::to(Endpoint::BulkUploadContacts)
    },
    Step {
        name: "Try the same CSV as a dry run that skips invalid rows",
        note: "Reports what the upload would do, and writes nothing. To send a file instead, choose `form-data` for the body, with \
               the file in a field named `file`.",
        query: &[("on_error", "skip"), ("dry_run", "true")],
        headers: &[("X-Import-ID", "{{import_id}}")],
        body: CSV,
        status: Some(200),
        tests: &[
            (
                "one contact would be created",
                "pm.expect(body).to.include({ created: 1, updated: 0, skipped_count: 1 });",
            ),
            (
                "the report names the invalid row",
                r#"pm.expect(body.skipped[0]).to.include({ row: 2, email: "john.smith" });"#,
            ),
        ],
        ..Step::to(Endpoint::BulkUploadContacts)
    },
    Step {
        name: "Upload many contacts into the import",
        note: "A row with a known email updates that contact. The upload can be sent again after a failure.",
        headers: &[("X-Import-ID", "{{import_id}}"), ("Idempotency-Key", "{{$guid}}")],
        body: Body::Example(&[
            ("jane.smith@example.com", "jane.smith.{{$guid}}@example.com"),
            ("john.smith@example.com", "john.smith.{{$guid}}@example.com"),
        ]),
        tests: &[(
            "both rows created a contact",
            "pm.expect(body).to.include({ inserted: 2, created: 2, skipped_count: 0 });",
        )],
        hands_on: &[
            ("uploaded_contact_id", "body.details[0].id"),
            ("second_uploaded_contact_id", "body.details[1].id"),
        ],
        ..Step::to(Endpoint::BulkUploadContacts)
    },
    Step {
        name: "Complete the import",
        note: "The client sets the status.",
        tests: &[("the import is complete", r#"pm.expect(body).to.include({ status: "completed", total_rows: 3 });"#)],
        ..Step::to(Endpoint::UpdateImport)
    },
    Step {
        tests: &[("the import has three contacts", "pm.expect(body.contacts_count).to.equal(3);")],
        ..Step::to(Endpoint::GetImport)
    },
    Step {
        name: "List the contacts of the import",
        query: &[("import_id", "{{import_id}}")],
        tests: &[(
            "the contacts of the import are listed",
            r#"const created = ["imported_contact_id", "uploaded_contact_id", "second_uploaded_contact_id"];
const ids = created.map((name) => pm.collectionVariables.get(name));
pm.expect(body.map((contact) => contact.id)).to.have.members(ids);"#,
        )],
        ..Step::to(Endpoint::ListContacts)
    },
    Step {
        query: &[("status", "completed"), ("limit", "10")],
        tests: &[(
            "only completed imports are listed",
            r#"body.forEach((row) => pm.expect(row.status).to.equal("completed"));"#,
        )],
        ..Step::to(Endpoint::ListImports)
    },
];

/// A valid row, and one with an invalid email.
const CSV: Body = Body::Csv(
    "full_name,email,linkedin_profile,company
Jane Smith,jane.smith.{{$guid}}@example.com,linkedin.com/in/janesmith,Tech Corp
John Smith,john.smith,linkedin.com/in/johnsmith,
",
);
