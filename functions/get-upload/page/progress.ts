// How fast work goes, and how long it takes from here.

/** Measures the time in which work is done, without its pauses. */
export class Stopwatch {
  private elapsed = 0;
  private since: number | undefined;

  constructor(private readonly now: () => number = () => performance.now()) {}

  run(): void {
    this.since ??= this.now();
  }

  pause(): void {
    this.elapsed = this.milliseconds();
    this.since = undefined;
  }

  milliseconds(): number {
    return this.elapsed + (this.since === undefined ? 0 : this.now() - this.since);
  }
}

/** The pace of work of which `done` of `total` are done. */
export function pace(
  done: number,
  total: number,
  milliseconds: number,
): { perSecond: number; secondsLeft: number } | undefined {
  if (done === 0 || milliseconds === 0) return undefined;
  const perSecond = (done * 1000) / milliseconds;
  return { perSecond, secondsLeft: (total - done) / perSecond };
}

/** `3 min 20 s`, as exact as such an estimate can be. */
export function duration(seconds: number): string {
  const rounded = Math.ceil(seconds);
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 3600) return `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
  return `${Math.floor(rounded / 3600)} h ${Math.floor((rounded % 3600) / 60)} min`;
}

/** What the API asks for by `Retry-After`. */
export function waitText(milliseconds: number | undefined): string | undefined {
  return milliseconds === undefined ? undefined : `The API asks to wait ${duration(milliseconds / 1000)}.`;
}
