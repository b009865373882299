// The latest of several calls: the response to an earlier one may arrive after it, and has no use any longer.

export class Latest {
  private calls = 0;

  /** Begins a call. The result is `true` as long as no later one has begun. */
  begin(): () => boolean {
    this.calls += 1;
    const call = this.calls;
    return () => call === this.calls;
  }
}
