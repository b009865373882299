//! The life of a single contact.

use shared::Endpoint;

use super::super::step::{Body, Credential, Folder, Step};

pub(super) const FOLDER: Folder = Folder {
    name: "Single contact",
    description: "One contact from its creation to its deletion, with a timeline. Needs no other folder.",
    steps: STEPS,
};

const STEPS: &[Step] = &[
    Step {
        name: "Create a contact without a key: 401",
        note: "A request needs a credential: `X-API-Key`, or a token as `Authorization: Bearer`.",
        credential: Credential::Missing,
        status: Some(401),
        tests: &[(
            "the response names the ways to authenticate",
            r#"pm.expect(pm.response.headers.get("WWW-Authenticate")).to.include("Bearer");"#,
        )],
        ..Step::to(Endpoint::CreateContact)
    },
    Step {
        name: "Create a contact without its fields: 400",
        note: "The error names every invalid field at once.",
        body: Body::Json("{}"),
        status: Some(400),
        detail: Some(
            "Validation error: full_name field is required; email field is required; linkedin_profile field is required",
        ),
        ..Step::to(Endpoint::CreateContact)
    },
    Step {
        note: "A contact of its own. When you load contacts, send `X-Import-ID` as in the folder Import.",
        headers: &[("Idempotency-Key", "{{$guid}}")],
        body: Body::Example(&[("john.doe@example.com", "john.doe.{{$guid}}@example.com")]),
        tests: &[(
            "`Location` has the path of the contact",
            r#"pm.expect(pm.response.headers.get("Location")).to.match(new RegExp(`/contacts/${body.id}$`));"#,
        )],
        hands_on: &[("contact_id", "body.id")],
        ..Step::to(Endpoint::CreateContact)
    },
    Step {
        tests: &[
            (
                "the activities are in the order sent",
                r#"pm.expect(body.map((activity) => activity.id)).to.eql(["act_123", "act_124"]);"#,
            ),
            (
                "the actor follows from the direction",
                r#"pm.expect(body.map((activity) => activity.actor)).to.eql(["SDR", "Humano"]);"#,
            ),
        ],
        hands_on: &[("activity_id", "body[0].id")],
        ..Step::to(Endpoint::RecordActivities)
    },
    Step {
        name: "Get the contact with the activities of active campaigns",
        note: "`campaign_id=all`, or no `campaign_id`, shows the activities of the active campaigns; if no campaign is active, every activity.",
        query: &[("campaign_id", "all"), ("page", "0"), ("limit", "50")],
        tests: &[("the timeline is an array", r#"pm.expect(body.activities).to.be.an("array");"#)],
        ..Step::to(Endpoint::GetContact)
    },
    Step {
        name: "Get the contact with every activity",
        query: &[("campaign_id", "any")],
        tests: &[(
            "the timeline has both activities, oldest first",
            r#"pm.expect(body.activities.map((activity) => activity.id)).to.eql(["act_123", "act_124"]);"#,
        )],
        ..Step::to(Endpoint::GetContact)
    },
    Step {
        name: "Get the contact with a token",
        note: "The other kind of credential: a JWT of the organization in the variable `jwt`. Without it, this request is skipped.",
        credential: Credential::Token,
        tests: &[(
            "the contact is the same",
            r#"pm.expect(body.id).to.equal(pm.collectionVariables.get("contact_id"));"#,
        )],
        ..Step::to(Endpoint::GetContact)
    },
    Step {
        note: "An email is opened or a link is clicked later: the flags are merged into the stored ones.",
        tests: &[(
            "the flag is added to the stored ones",
            "pm.expect(body.metadata).to.include({ delivered: true, opened: true, clicked: true });",
        )],
        ..Step::to(Endpoint::UpdateActivity)
    },
    Step {
        tests: &[
            (
                "the sent fields have changed",
                r#"pm.expect(body).to.include({ locale: "es-ES", timezone: "Europe/Madrid" });"#,
            ),
            (
                "`metadata` is merged",
                r#"pm.expect(body.enrichment).to.include({ source: "website", updated_source: "crm_sync" });"#,
            ),
        ],
        ..Step::to(Endpoint::UpdateContact)
    },
    Step {
        tests: &[(
            "the message names the contact",
            r#"pm.expect(body.message).to.equal(`Contacto ${pm.collectionVariables.get("contact_id")} eliminado`);"#,
        )],
        ..Step::to(Endpoint::DeleteContact)
    },
    Step {
        name: "Get the deleted contact: 404",
        note: "A contact of another organization is the same 404.",
        status: Some(404),
        ..Step::to(Endpoint::GetContact)
    },
];
