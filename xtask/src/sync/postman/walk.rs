//! The walk: the requests of the collection, by use case and in the order in which they run.
//!
//! Every run creates what it needs, under emails and keys of its own, and deletes it at the end, so that it can be repeated on the
//! same organization. A step is what cannot be derived: its place, what it sends instead of the example, and what it expects.

mod campaign;
mod contact;
mod crm;
mod import;

use shared::Endpoint;

use super::step::{Folder, Step};

pub(super) const FOLDERS: [Folder; 6] = [
    import::FOLDER,
    campaign::FOLDER,
    contact::FOLDER,
    crm::FOLDER,
    Folder {
        name: "Administration",
        description: "API keys and the audit log. `apiKey` needs the scope `admin`: with another key every request is a 403.",
        steps: ADMINISTRATION,
    },
    Folder {
        name: "Clean-up",
        description: "Deletes what the other folders have created, and revokes the new key. Run it last. What stays: the companies, \
                      the revoked key in the list of keys, and the entries of the audit log.",
        steps: CLEAN_UP,
    },
];

const ADMINISTRATION: &[Step] = &[
    Step {
        note: "`key` is in this response and in no other: keep it where your secrets are. The collection does not.",
        headers: &[("Idempotency-Key", "{{$guid}}")],
        hands_on: &[("key_id", "body.id")],
        tests: &[("the key is live", "pm.expect(body.key).to.match(/^sk_live_/);")],
        ..Step::to(Endpoint::CreateApiKey)
    },
    Step {
        query: &[("limit", "20")],
        tests: &[(
            "no row has the key itself",
            r#"body.forEach((row) => pm.expect(row).to.not.have.property("key"));"#,
        )],
        ..Step::to(Endpoint::ListApiKeys)
    },
    Step {
        query: &[("action", "api_key.created"), ("limit", "10")],
        tests: &[(
            "the creation of the key is in the log",
            r#"pm.expect(body.map((entry) => entry.subject.id)).to.include(pm.collectionVariables.get("key_id"));"#,
        )],
        ..Step::to(Endpoint::ListAuditLog)
    },
];

const CLEAN_UP: &[Step] = &[
    Step {
        note: "The contacts and their activities stay.",
        tests: &[("the message names the campaign", "pm.expect(body.message).to.match(/^Campaign .+ eliminada$/);")],
        ..Step::to(Endpoint::DeleteCampaign)
    },
    Step {
        name: "Delete the imported contact",
        ids: &[("contact_id", "{{imported_contact_id}}")],
        ..Step::to(Endpoint::DeleteContact)
    },
    Step {
        name: "Delete the first uploaded contact",
        ids: &[("contact_id", "{{uploaded_contact_id}}")],
        ..Step::to(Endpoint::DeleteContact)
    },
    Step {
        name: "Delete the second uploaded contact",
        ids: &[("contact_id", "{{second_uploaded_contact_id}}")],
        ..Step::to(Endpoint::DeleteContact)
    },
    Step {
        name: "List the contacts of the import: none is left",
        query: &[("import_id", "{{import_id}}")],
        tests: &[("no contact is left", "pm.expect(body).to.be.empty;")],
        ..Step::to(Endpoint::ListContacts)
    },
    Step {
        note: "An import can be deleted before or after its contacts.",
        tests: &[("the message names the import", "pm.expect(body.message).to.match(/^Import .+ eliminado$/);")],
        ..Step::to(Endpoint::DeleteImport)
    },
    Step { name: "Get the deleted import: 404", status: Some(404), ..Step::to(Endpoint::GetImport) },
    Step {
        note: "On AWS, a key that was created a moment ago may still be a 404: send the request again.",
        ..Step::to(Endpoint::RevokeApiKey)
    },
];
