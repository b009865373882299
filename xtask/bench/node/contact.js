// A contact: the schemas of its bodies, its item, and its JSON.

import { z } from 'zod';

const LINKEDIN = /^(?:https?:\/\/)?(?:[a-z]{2,3}\.)?linkedin\.com\/in\/([^/?#\s]+)\/?(?:[?#]\S*)?$/i;
const TIME_ZONES = new Set(Intl.supportedValuesOf('timeZone'));

const text = z.string().trim().min(1).max(200);
const linkedinProfile = z
  .string()
  .trim()
  .regex(LINKEDIN, 'must be the URL of a LinkedIn profile')
  .transform((url) => `https://www.linkedin.com/in/${LINKEDIN.exec(url)[1].toLowerCase()}`);
const locale = z.string().regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a BCP 47 language tag');
const timezone = z.string().refine((name) => TIME_ZONES.has(name), 'must be an IANA time zone name');
const metadata = z.record(z.string().min(1), z.unknown());

export const NewContact = z.object({
  full_name: text,
  email: z.string().trim().toLowerCase().max(254).pipe(z.email()),
  linkedin_profile: linkedinProfile,
  company: text.nullish(),
  locale: locale.nullish(),
  timezone: timezone.nullish(),
  metadata: metadata.nullish(),
});

export const ContactPatch = z.object({
  full_name: text.optional(),
  linkedin_profile: linkedinProfile.optional(),
  company: text.nullish(),
  locale: locale.nullish(),
  timezone: timezone.nullish(),
  metadata: metadata.optional(),
});

export const ContactId = z.object({ contact_id: z.uuid('must be a valid UUID') });

/** The JSON of a contact's item. */
export function view(item) {
  return {
    ...identity(item),
    enrichment: enrichment(item),
    ...times(item),
  };
}

/** The JSON of a contact's item with activities. */
export function viewWithTimeline(item, activities) {
  return {
    ...identity(item),
    account_id: null,
    enrichment: enrichment(item),
    should_enrich_data: null,
    ...times(item),
    activities: activities.map(viewActivity),
  };
}

function identity({ pk, sk, full_name, email, linkedin_profile, company, locale, timezone }) {
  return {
    id: sk.slice('CONTACT#'.length),
    org_id: pk.slice('ORG#'.length),
    full_name,
    email,
    linkedin_profile,
    company: company ?? null,
    locale: locale ?? null,
    timezone: timezone ?? null,
  };
}

/** The enrichment with its keys in the order in which they were sent, and then those that were added later. */
function enrichment({ enrichment: stored, enrichment_order: order = [] }) {
  const first = order.filter((key) => key in stored);
  const others = Object.keys(stored).filter((key) => !order.includes(key)).sort();
  const keys = [...first, ...others];
  return keys.length > 0 ? Object.fromEntries(keys.map((key) => [key, stored[key]])) : null;
}

function times({ created_at, updated_at }) {
  return { created_at: toSeconds(created_at), updated_at: toSeconds(updated_at) };
}

function toSeconds(time) {
  return `${time.slice(0, 19)}Z`;
}

function viewActivity(item) {
  const [, time, id] = /^ACTIVITY#([^#]+)#(.*)$/s.exec(item.sk);
  const { channel = 'sistema', event_type, direction = 'outbound', sdr_agent_id, event_text = null } = item;
  const flags = { delivered: false, opened: false, clicked: false, replied: false };
  return {
    id,
    event_time: time.endsWith('.000Z') ? toSeconds(time) : time,
    channel,
    event_type,
    direction,
    sdr_agent_id,
    event_text,
    metadata: { ...flags, ...item.metadata },
    actor: direction === 'outbound' ? 'SDR' : 'Humano',
  };
}
