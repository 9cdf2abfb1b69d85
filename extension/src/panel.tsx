import { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import { agentIcon } from './icon';
import { SidebarModel } from './model';
import { DOMAIN } from './tokens';
import { Empty, Live } from './views';

/** The sidebar: one React tree over the model. */
export class SidebarPanel extends ReactWidget {
  constructor(
    private readonly _model: SidebarModel,
    private readonly _commands: CommandRegistry,
    translator: ITranslator
  ) {
    super();
    this._trans = translator.load(DOMAIN);
    this.id = 'agentnb-sidebar';
    this.addClass('jp-agentnb-Sidebar');
    this.title.icon = agentIcon;
    this.title.caption = this._trans.__('Agent');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this._trans.__('Agent'));
  }

  protected override render(): React.ReactElement {
    const model = this._model;
    return (
      <UseSignal signal={model.changed}>
        {() => {
          const { phase, state } = model;
          return phase === 'live' && state ? (
            <Live model={model} state={state} trans={this._trans} />
          ) : (
            <Empty
              phase={phase === 'live' ? 'connecting' : phase}
              title={model.title}
              commands={this._commands}
              trans={this._trans}
            />
          );
        }}
      </UseSignal>
    );
  }

  private readonly _trans: TranslationBundle;
}
