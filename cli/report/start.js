'use strict';
({race: () => racePage(data.race), train: () => trainPage(data.run)})[data.kind]();
