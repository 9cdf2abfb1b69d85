import { TranslationBundle } from '@jupyterlab/translation';
import { stopIcon } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import { agentIcon } from './icon';
import { Phase } from './link';
import { SidebarModel } from './model';
import { IPanelRun, IPanelState, IPanelTool } from './protocol';
import { CommandIDs } from './tokens';

/** Whatever comes from the kernel is set as text, by React, and in no other way. */

interface ILiveProps {
  readonly model: SidebarModel;
  readonly state: IPanelState;
  readonly trans: TranslationBundle;
}

/** The sidebar of a notebook that has agentnb. */
export function Live({ model, state, trans }: ILiveProps): React.ReactElement {
  return (
    <>
      <header className="jp-agentnb-Header">
        <h2 title={model.title}>{model.title}</h2>
        <Model name={state.model} trans={trans} />
      </header>
      <Section title={trans.__('Run')}>
        {state.runs.map(run => (
          <Run key={run.run_id} run={run} trans={trans} stop={() => model.stop(run.run_id)} />
        ))}
        {state.runs.length === 0 && <Outcome state={state} trans={trans} />}
      </Section>
      <Section title={trans.__('Tools')} aside={toolCount(state.tools, trans)}>
        {state.tools.length > 0 ? (
          <ul className="jp-agentnb-Tools">
            {state.tools.map(tool => (
              <Tool key={tool.name} tool={tool} set={enabled => model.setTool(tool.name, enabled)} />
            ))}
          </ul>
        ) : (
          <p className="jp-agentnb-Quiet">
            {trans.__('No tools yet. Decorate a function with @tool, or name it:')} <code>%tool my_function</code>
          </p>
        )}
      </Section>
    </>
  );
}

function toolCount(tools: ReadonlyArray<IPanelTool>, trans: TranslationBundle): string {
  const on = tools.filter(tool => tool.enabled).length;
  return tools.length > 0 ? trans.__('%1 of %2 on', on, tools.length) : '';
}

function Model({ name, trans }: { name: string; trans: TranslationBundle }): React.ReactElement {
  if (!name) {
    return (
      <p className="jp-agentnb-Quiet">
        {trans.__('No model chosen. Run')} <code>%model</code>
      </p>
    );
  }
  const colon = name.indexOf(':');
  return (
    <p className="jp-agentnb-Model" title={name} aria-label={trans.__('Model: %1', name)}>
      {colon > 0 && <span className="jp-agentnb-Provider">{name.slice(0, colon)}</span>}
      <span className="jp-agentnb-ModelName">{name.slice(colon + 1)}</span>
    </p>
  );
}

interface ISectionProps {
  readonly title: string;
  readonly aside?: string;
  readonly children: React.ReactNode;
}

function Section({ title, aside, children }: ISectionProps): React.ReactElement {
  return (
    <section className="jp-agentnb-Section" aria-label={title}>
      <h3>
        {title}
        {aside && <small>{aside}</small>}
      </h3>
      {children}
    </section>
  );
}

interface IRunProps {
  readonly run: IPanelRun;
  readonly trans: TranslationBundle;
  readonly stop: () => void;
}

function Run({ run, trans, stop }: IRunProps): React.ReactElement {
  const label = run.stopping ? trans.__('Stopping') : trans.__('Stop');
  return (
    <article className="jp-agentnb-Run" data-stopping={run.stopping} aria-busy={true}>
      <p className="jp-agentnb-RunTitle" title={run.title}>
        {run.title}
      </p>
      <p className="jp-agentnb-RunStep" role="status">
        <span className="jp-agentnb-Pulse" aria-hidden={true} />
        <span>{run.stopping ? trans.__('stopping…') : run.step}</span>
      </p>
      <footer>
        <span className="jp-agentnb-Quiet">{trans.__('Round %1', run.round)}</span>
        <button
          type="button"
          className="jp-agentnb-Stop"
          onClick={stop}
          title={run.stopping ? trans.__('Interrupt the kernel now') : trans.__('Stop this run')}
        >
          <stopIcon.react tag="span" width="14px" aria-hidden={true} />
          {label}
        </button>
      </footer>
    </article>
  );
}

function Outcome({ state, trans }: { state: IPanelState; trans: TranslationBundle }): React.ReactElement {
  if (!state.last && !state.error) {
    return (
      <p className="jp-agentnb-Quiet">
        {trans.__('Nothing has run yet. Begin a cell with')} <code>%%agent</code>
      </p>
    );
  }
  return (
    <div role="status" className="jp-agentnb-Outcome" data-failed={state.error !== null}>
      {state.last && <p className="jp-agentnb-Last">{state.last}</p>}
      {state.error && <p className="jp-agentnb-Error">{state.error}</p>}
    </div>
  );
}

function Tool({ tool, set }: { tool: IPanelTool; set: (enabled: boolean) => void }): React.ReactElement {
  const id = React.useId();
  return (
    <li className="jp-agentnb-Tool" data-enabled={tool.enabled}>
      <div>
        <code id={id}>{tool.name}</code>
        <p title={tool.description}>{tool.description}</p>
      </div>
      <button
        type="button"
        role="switch"
        className="jp-switch jp-agentnb-Switch"
        aria-checked={tool.enabled}
        aria-labelledby={id}
        onClick={() => set(!tool.enabled)}
      >
        <div className="jp-switch-track" aria-hidden={true} />
      </button>
    </li>
  );
}

interface IEmptyProps {
  readonly phase: Exclude<Phase, 'live'> | 'none';
  readonly title: string;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

/** The sidebar while there is nothing to show: why, and what to do. */
export function Empty({ phase, title, commands, trans }: IEmptyProps): React.ReactElement {
  const text = {
    none: trans.__('Open a notebook to see its agent.'),
    connecting: trans.__('Waiting for the kernel…'),
    gone: trans.__('This notebook has no running kernel.'),
    foreign: trans.__('agentnb needs a Python kernel.'),
    absent: trans.__('This notebook has no agent yet.')
  }[phase];
  return (
    <div className="jp-agentnb-Empty" data-phase={phase}>
      <agentIcon.react tag="div" className="jp-agentnb-EmptyIcon" aria-hidden={true} />
      {title && <h2>{title}</h2>}
      <p role="status">{text}</p>
      {phase === 'absent' && (
        <>
          <p className="jp-agentnb-Quiet">
            {trans.__('Run')} <code>%load_ext agentnb</code> {trans.__('in this notebook.')}
          </p>
          <button
            type="button"
            className="jp-agentnb-Load jp-mod-styled jp-mod-accept"
            onClick={() => void commands.execute(CommandIDs.load)}
          >
            {trans.__('Load agentnb')}
          </button>
        </>
      )}
    </div>
  );
}
