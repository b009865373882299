// The API that the walks talk to, as the file in the environment variable E2E_SESSION describes it.
import { readFileSync } from 'node:fs';
import { env } from 'node:process';

interface Session {
  base_url: string;
  orgs: [{ admin_key: string }];
}

const session: Session = JSON.parse(readFileSync(env['E2E_SESSION'] ?? 'session.json', 'utf8'));

export const baseUrl = session.base_url;
export const apiKey = session.orgs[0].admin_key;
