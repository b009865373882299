// Work that can be paused by the person, by a failure, or by a missing key, and resumes where it stopped.

import { type Api, ApiError } from './api.ts';

/** The end of a job that was stopped before it was done. */
export class Stopped extends Error {}

export class Job {
  private resumed: Promise<void> = Promise.resolve();
  private open: () => void = () => {};
  private isStopped = false;
  isPaused = false;
  /** Is called before the first call with another key than the one before, and may refuse it by an `ApiError`. */
  onNewKey: (api: Api) => Promise<unknown> = () => Promise.resolve();
  private lastApi: Api | undefined;

  constructor(
    /** The API with the current key. Throws an `ApiError` without one. */
    private readonly api: () => Api,
    /** Is told of a failure that paused the job. */
    private readonly onFailure: (error: ApiError) => void,
  ) {}

  pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.resumed = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  resume(): void {
    this.isPaused = false;
    this.open();
  }

  /** Ends the job before its next call. */
  stop(): void {
    this.isStopped = true;
    this.resume();
  }

  /** Makes a call as often as it takes: a failure pauses the job, and the call is made again when it goes on. */
  async call<T>(make: (api: Api) => Promise<T>): Promise<T> {
    for (;;) {
      while (this.isPaused) await this.resumed;
      if (this.isStopped) throw new Stopped();
      try {
        const api = this.api();
        if (this.lastApi && api !== this.lastApi) await this.onNewKey(api);
        this.lastApi = api;
        return await make(api);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.pause();
        this.onFailure(error);
      }
    }
  }
}
