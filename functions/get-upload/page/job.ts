// Work that can be paused by the person, by a failure, or by a missing key, and resumes where it stopped.

import { type Api, ApiError } from './api.ts';

/** The end of a job that was stopped before it was done. */
export class Stopped extends Error {}

/** A pause between two attempts that was ended, because the job was paused or stopped. */
class Interrupted extends Error {}

export class Job {
  private resumed: Promise<void> = Promise.resolve();
  private open: () => void = () => {};
  private isStopped = false;
  private interrupt: () => void = () => {};
  private interrupted: Promise<void> = this.nextInterruption();
  private waits = 0;
  isPaused = false;
  /** Is called before the first call with another key than the one before, and may refuse it by an `ApiError`. */
  onNewKey: (api: Api) => Promise<unknown> = () => Promise.resolve();
  private lastApi: Api | undefined;

  constructor(
    /** The API with the current key. Throws an `ApiError` without one. */
    private readonly api: () => Api,
    /** Is told of a failure that paused the job. */
    private readonly onFailure: (error: ApiError) => void,
    /** Is told the milliseconds that the API asks to wait, and nothing when no call waits any longer. */
    private readonly onWait: (milliseconds: number | undefined) => void = () => {},
  ) {}

  pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.resumed = new Promise((resolve) => {
      this.open = resolve;
    });
    this.interrupt();
  }

  resume(): void {
    this.isPaused = false;
    this.interrupted = this.nextInterruption();
    this.open();
  }

  /** Ends the job before its next call or attempt. */
  stop(): void {
    this.isStopped = true;
    this.interrupt();
    this.resume();
  }

  /** Makes a call as often as it takes: a failure pauses the job, and the call is made again when it goes on. */
  async call<T>(make: (api: Api) => Promise<T>): Promise<T> {
    for (;;) {
      while (this.isPaused) await this.resumed;
      if (this.isStopped) throw new Stopped();
      try {
        const current = this.api();
        const api = current.withWait((pause, asked) => this.wait(pause, asked));
        if (this.lastApi && current !== this.lastApi) await this.onNewKey(api);
        this.lastApi = current;
        return await make(api);
      } catch (error) {
        if (error instanceof Interrupted) continue;
        if (!(error instanceof ApiError)) throw error;
        this.pause();
        this.onFailure(error);
      }
    }
  }

  private nextInterruption(): Promise<void> {
    return new Promise((resolve) => {
      this.interrupt = resolve;
    });
  }

  /** Waits until the next attempt. A job that is paused or stopped meanwhile makes the call again when it goes on. */
  private async wait(pause: Promise<void>, asked: number | undefined): Promise<void> {
    const { interrupted } = this;
    this.waits += 1;
    if (asked !== undefined) this.onWait(asked);
    await Promise.race([pause, interrupted]);
    this.waits -= 1;
    if (this.waits === 0) this.onWait(undefined);
    if (this.isPaused || this.isStopped) throw new Interrupted();
  }
}
