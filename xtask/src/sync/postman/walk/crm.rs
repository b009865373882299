//! Polling for changes, and writing back without overwriting others.

use shared::Endpoint;

use super::super::step::{Body, Folder, Step};

pub(super) const FOLDER: Folder = Folder {
    name: "CRM sync",
    description: "Keeps a CRM up to date: read what has changed since the last poll, page by page, and write back only what has \
                  not changed meanwhile. Needs the folder Import, which creates contacts.",
    steps: STEPS,
};

/// The cursor of the next page, from the header `Link`.
const NEXT_CURSOR: &str = r#"(/[?&]cursor=([^&>]+).*rel="next"/.exec(pm.response.headers.get("Link")) || [])[1]"#;

const STEPS: &[Step] = &[
    Step {
        name: "List what has changed since the last poll",
        note: "The first page, of one contact. The time of the next poll is the `Date` of this response less one minute, so that no \
               change is missed.",
        query: &[("updated_after", "{{last_poll}}"), ("limit", "1")],
        tests: &[("the page has at most one contact", "pm.expect(body).to.have.lengthOf.at.most(1);")],
        hands_on: &[
            ("cursor", NEXT_CURSOR),
            ("next_poll", r#"new Date(Date.parse(pm.response.headers.get("Date")) - 60000).toISOString()"#),
        ],
        ..Step::to(Endpoint::ListContacts)
    },
    Step {
        name: "List the other pages",
        note: "Only a missing `Link` is the end of the list. The collection runner repeats this request until then.",
        query: &[("updated_after", "{{last_poll}}"), ("limit", "100"), ("cursor", "{{cursor}}")],
        tests: &[(
            "the next page is requested, or the poll is complete",
            r#"const link = pm.response.headers.get("Link");
if (link) {
  pm.collectionVariables.set("cursor", /[?&]cursor=([^&>]+)/.exec(link)[1]);
  pm.execution.setNextRequest(pm.info.requestName);
} else {
  pm.collectionVariables.set("last_poll", pm.collectionVariables.get("next_poll"));
}"#,
        )],
        ..Step::to(Endpoint::ListContacts)
    },
    Step {
        name: "Find the contact with an email",
        query: &[("email", "{{imported_contact_email}}")],
        tests: &[(
            "the contact is found",
            r#"pm.expect(body.map((contact) => contact.id)).to.eql([pm.collectionVariables.get("imported_contact_id")]);"#,
        )],
        ..Step::to(Endpoint::ListContacts)
    },
    Step {
        name: "Get the contact with its ETag",
        ids: CONTACT,
        hands_on: &[("etag", r#"pm.response.headers.get("ETag")"#)],
        ..Step::to(Endpoint::GetContact)
    },
    Step {
        name: "Ask whether the contact has changed: 304",
        note: "Not modified: the response has no body, and the client's copy is still current.",
        ids: CONTACT,
        headers: &[("If-None-Match", "{{etag}}")],
        status: Some(304),
        ..Step::to(Endpoint::GetContact)
    },
    Step {
        name: "Update the contact if it has not changed",
        note: "`If-Match` has the version that the client has read.",
        ids: CONTACT,
        headers: &[("If-Match", "{{etag}}")],
        tests: &[(
            "the contact has a new version",
            r#"pm.expect(pm.response.headers.get("ETag")).to.not.equal(pm.collectionVariables.get("etag"));"#,
        )],
        ..Step::to(Endpoint::UpdateContact)
    },
    Step {
        name: "Update the contact with an old version: 412",
        note: "Another client was faster: get the contact again, and decide what to write.",
        ids: CONTACT,
        headers: &[("If-Match", "{{etag}}")],
        body: Body::Json(r#"{"locale": "en-GB"}"#),
        status: Some(412),
        ..Step::to(Endpoint::UpdateContact)
    },
    Step {
        name: "Find the company of the contact",
        note: "The first contact that names a company creates it.",
        query: &[("name", "Tech Corp")],
        tests: &[("the company is found", "pm.expect(body).to.have.lengthOf(1);")],
        ..Step::to(Endpoint::ListCompanies)
    },
];

/// The contact that the folder Import has created.
const CONTACT: &[(&str, &str)] = &[("contact_id", "{{imported_contact_id}}")];
