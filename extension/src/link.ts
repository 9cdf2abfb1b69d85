import { ISessionContext } from '@jupyterlab/apputils';
import { Kernel, KernelMessage } from '@jupyterlab/services';
import { JSONObject } from '@lumino/coreutils';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { COMM_TARGET, FromPanel, IPanelState } from './protocol';

/**
 * What is known of a notebook's kernel.
 *
 * `connecting`: nothing yet, or it is busy; `absent`: a Python kernel without agentnb; `foreign`: another
 * language; `gone`: no kernel, or a dead one; `live`: it tells us its state.
 */
export type Phase = 'connecting' | 'absent' | 'foreign' | 'gone' | 'live';

/** How long a run may take to stop by message before the kernel is interrupted, in milliseconds. */
const GRACE = 300;

/** How long a kernel may take to say which comms it has, in milliseconds. */
const PATIENCE = 3000;

/**
 * The line between the sidebar and the kernel of one notebook; it survives restarts and changes of kernel.
 */
export class NotebookLink implements IDisposable {
  constructor(readonly session: ISessionContext) {
    session.kernelChanged.connect(this._attach, this);
    session.statusChanged.connect(this._onStatus, this);
    this._attach();
  }

  /** Emitted when anything below has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get phase(): Phase {
    return this._phase;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** What the kernel last said, with what was asked of it and is not yet confirmed. */
  get state(): IPanelState | null {
    const state = this._state;
    return (
      state && {
        ...state,
        tools: state.tools.map(tool => ({ ...tool, enabled: this._switched.get(tool.name) ?? tool.enabled })),
        runs: state.runs.map(run => ({ ...run, stopping: run.stopping || this._stopping.has(run.run_id) }))
      }
    );
  }

  /** Offer a tool to the model, or not. A busy kernel may answer later: the switch moves at once. */
  setTool(name: string, enabled: boolean): void {
    this._switched.set(name, enabled);
    this._send({ type: 'set_tool', name, enabled });
    this._changed.emit();
  }

  /**
   * Stop a run, or every run.
   *
   * A cell that awaits handles the message; a cell that blocks its kernel does not, so whatever still runs
   * after the grace is interrupted. Asking a second time interrupts at once. Without a run nothing is sent.
   */
  stop(runId: string | null = null): void {
    const runs = this._running(runId);
    if (runs.length === 0) {
      return;
    }
    const again = runs.some(id => this._stopping.has(id));
    runs.forEach(id => this._stopping.add(id));
    this._send({ type: 'stop', run_id: runId });
    this._changed.emit();
    clearTimeout(this._timer);
    if (again) {
      this._interrupt();
      return;
    }
    this._timer = setTimeout(() => {
      if (this._running(runId).some(id => runs.includes(id))) {
        this._interrupt();
      }
    }, GRACE);
  }

  /** Look again, and do not take no for an answer: `%load_ext agentnb` has just been run. */
  reconnect(): void {
    if (this._kernel && !this._connected) {
      this._enter('connecting');
      void this._probe(this._kernel, true);
    }
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    clearTimeout(this._timer);
    clearTimeout(this._retry);
    this._kernel?.removeCommTarget(COMM_TARGET, this._onOpen);
    this._leave();
    Signal.clearData(this);
  }

  /** A restart disposes of a comm without closing it. */
  private get _connected(): boolean {
    return this._comm !== null && !this._comm.isDisposed;
  }

  private _running(runId: string | null): string[] {
    const ids = this._state?.runs.map(run => run.run_id) ?? [];
    return runId === null ? ids : ids.filter(id => id === runId);
  }

  private _interrupt(): void {
    // A kernel that died meanwhile rejects; its status has been reported by then.
    this._kernel?.interrupt().catch(() => undefined);
  }

  private _attach(): void {
    this._kernel?.removeCommTarget(COMM_TARGET, this._onOpen);
    this._leave();
    this._kernel = this.session.session?.kernel ?? null;
    if (!this._kernel) {
      this._enter(this.session.isReady ? 'gone' : 'connecting');
      return;
    }
    this._kernel.registerCommTarget(COMM_TARGET, this._onOpen);
    this._enter('connecting');
    void this._probe(this._kernel);
  }

  /** Look for agentnb in a kernel: one that has it answers with its state, another closes the comm. */
  private async _probe(kernel: Kernel.IKernelConnection, certain = false): Promise<void> {
    const current = () => kernel === this._kernel && !this._isDisposed && !this._connected;
    try {
      const spec = await kernel.spec;
      if (current() && spec && spec.language.toLowerCase() !== 'python') {
        this._enter('foreign');
        return;
      }
      if (!certain && !(await this._mayKnow(kernel))) {
        if (current()) {
          this._enter('absent');
        }
        return;
      }
      if (current()) {
        const comm = kernel.createComm(COMM_TARGET);
        this._adopt(comm, true);
        comm.open();
        this._send({ type: 'hello' });
      }
    } catch {
      // The kernel restarts, or its connection does: what was asked is lost.
    }
    this._again(kernel, certain);
  }

  /** Ask again where nothing came back: a question that crossed a restart is never answered. */
  private _again(kernel: Kernel.IKernelConnection, certain: boolean): void {
    clearTimeout(this._retry);
    if (kernel !== this._kernel || this._phase !== 'connecting' || this._isDisposed) {
      return;
    }
    this._retry = setTimeout(() => {
      if (kernel !== this._kernel || this._phase !== 'connecting' || this._isDisposed) {
        return;
      }
      // A status that crossed a restart is lost as well: only a kernel that says it is busy is left in peace.
      if (kernel.status !== 'busy' && kernel.connectionStatus === 'connected') {
        this._leave();
        void this._probe(kernel, certain);
      } else {
        this._again(kernel, certain);
      }
    }, PATIENCE);
  }

  /**
   * Loading agentnb opens a comm that stays, so a kernel that lists none has not got it, and need not be bothered:
   * it would log an error. One that is too busy to say may have it: while a cell awaits, comms are all it answers.
   */
  private async _mayKnow(kernel: Kernel.IKernelConnection): Promise<boolean> {
    const asked = kernel.requestCommInfo({ target_name: COMM_TARGET });
    const answer = await Promise.race([asked, new Promise<null>(done => setTimeout(() => done(null), PATIENCE))]);
    return answer === null || (answer.content.status === 'ok' && Object.keys(answer.content.comms).length > 0);
  }

  /** agentnb was loaded in the kernel while the panel was there. */
  private _onOpen = (comm: Kernel.IComm, message: KernelMessage.ICommOpenMsg): void => {
    this._leave();
    this._adopt(comm, false);
    this._take(message.content.data);
    this._send({ type: 'hello' });
  };

  private _adopt(comm: Kernel.IComm, ours: boolean): void {
    this._comm = comm;
    this._ours = ours;
    comm.onMsg = message => {
      if (comm === this._comm) {
        this._take(message.content.data);
      }
    };
    comm.onClose = () => {
      if (comm === this._comm) {
        this._comm = null;
        this._enter('absent');
      }
    };
  }

  private _take(data: JSONObject): void {
    if (data.type !== 'state') {
      return;
    }
    const state = data as unknown as IPanelState;
    for (const tool of state.tools) {
      if (this._switched.get(tool.name) === tool.enabled) {
        this._switched.delete(tool.name);
      }
    }
    const running = new Set(state.runs.map(run => run.run_id));
    this._stopping.forEach(id => running.has(id) || this._stopping.delete(id));
    this._state = state;
    this._phase = 'live';
    this._changed.emit();
  }

  private _send(message: FromPanel): void {
    if (this._connected) {
      this._comm?.send({ ...message });
    }
  }

  private _onStatus(_: ISessionContext, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting') {
      // A restart throws all comms away without a word.
      this._comm = null;
      this._enter('connecting');
      // That it is idle again may never be told: what a kernel says while the page reconnects is lost.
      if (this._kernel) {
        this._again(this._kernel, false);
      }
    } else if (status === 'dead' || status === 'terminating') {
      this._comm = null;
      this._enter('gone');
    } else if (status === 'idle' && this._kernel && !this._connected && this._phase === 'connecting') {
      void this._probe(this._kernel);
    }
  }

  /** Let go of the comm. The kernel's own stays open: it is how a later page finds agentnb. */
  private _leave(): void {
    const comm = this._comm;
    this._comm = null;
    if (comm && this._ours && !comm.isDisposed && this._kernel && !this._kernel.isDisposed) {
      comm.close();
    }
  }

  private _enter(phase: Phase): void {
    this._phase = phase;
    this._state = null;
    this._switched.clear();
    this._stopping.clear();
    this._changed.emit();
  }

  private _kernel: Kernel.IKernelConnection | null = null;
  private _comm: Kernel.IComm | null = null;
  private _ours = false;
  private _phase: Phase = 'connecting';
  private _state: IPanelState | null = null;
  private readonly _switched = new Map<string, boolean>();
  private readonly _stopping = new Set<string>();
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _retry: ReturnType<typeof setTimeout> | undefined;
  private _isDisposed = false;
  private readonly _changed = new Signal<this, void>(this);
}
