"""What the two newspapers write: invented headlines in three languages, each told once."""

from collections.abc import Iterator, Mapping

COURIER = "The Harbour Courier"
ARAKS_HY, ARAKS_RU = "Արաքս օրաթերթ", "Газета «Аракс»"

_NEWS = """
Ferry to the islands runs again after two weeks | The engine came by train on Sunday night.
Council buys the old cannery for one crown | A library and eleven flats are to be built there.
School kitchen wins a prize for its fish soup | The recipe is four generations old.
Night buses get a fifth line | It ends at the hospital, where shifts change at ten.
Storm takes the roof of the rowing club | Nobody was hurt, and the boats were in the water.
Fishermen count more herring than last autumn | The harbour master speaks of the best season since 2009.
Bridge closes for three nights | Lorries go by way of the northern road.
A baker gives up, and her apprentice carries on | The ovens stay where they were.
Harbour fees stay as they are | Small boats pay nothing in winter.
Volunteers clear the river of 4 tonnes of scrap | Among it was a piano.
New clinic opens its doors on Thursday | Appointments can be made by telephone.
Tides rise by a hand's breadth, says the institute | The quay wall is to be raised in spring.
Firemen save a cat and a tuba | Both are well.
Street lamps go out at one instead of two | The town saves as much as a kindergarten costs.
Market moves to the station square | Stalls stay open until six.
Lighthouse keeper retires after 41 years | Her log books go to the museum.
Trains to the capital every half hour | The first leaves at ten past five.
Council votes on the cycle lane | Nine are for it, and eight against.
Oysters are back on the menu | The beds were closed for a year.
Sailors' mission turns one hundred | There is coffee for everybody on Saturday.
Post office gets a second counter | The queue had reached the fountain.
Parking on the quay costs more | Residents keep their cards.
A whale in the bay | It stayed for an hour and left for the north.
Gasworks to become a swimming pool | The tower stays.
Ice rink opens three weeks late | The new compressor was held up at the border.
School bus drivers ask for a break | They start at half past five.
Shipyard hires forty welders | The order came from the coast guard.
River police find the stolen swans | They had been sold as geese.
The town has 23,412 inhabitants | Forty-one more than a year ago.
Choir of dockers sings in the church | Admission is free.
Ferry tickets on the telephone | Paper ones stay valid.
Bus stop "Customs" gets its roof back | It had stood in the wrong street for a year.
Clocks go back on Sunday | The harbour clock is set by hand, by Mr Penrose.
Fire station gets a ladder of 30 metres | It reaches the top of the grain store.
Mayor answers letters in person | On Wednesdays, from four.
Harbour dredger is named by children | It is called Mudwig.
"""
_CULTURE = """
The puppet theatre plays for grown-ups | Six evenings, and no word is spoken.
A painter shows nothing but fog | Seventy pictures hang in the old customs house.
Film festival opens with a silent film | The organist of St Mary's plays to it.
Book of the month: a novel about salt | Our reviewer could not put it down.
The brass band looks for a tuba player | Theirs was saved from a fire.
Museum shows letters that never arrived | They lay behind a sorting shelf for 80 years.
A concert in the empty swimming pool | The echo lasts nine seconds.
Poetry on the ferry | A poem an island.
The theatre café reopens | With the same cake.
Carpet of a thousand scarves | Hand in yours until Friday.
Photographs from the bottom of the harbour | Taken by the divers of the dredger.
The old cinema shows its last film twice | So that nobody misses it.
"""
_HY = """
Մետրոյի նոր կայարանը կբացվի գարնանը | Շինարարները աշխատում են երկու հերթափոխով։
Սևանի մակարդակը բարձրացել է երեք սանտիմետրով | Գիտնականները դա համարում են լավ նշան։
Գյումրիի նվագախումբը մեկնում է հյուրախաղերի | Առաջին համերգը կլինի ուրբաթ օրը։
Ծիրանի բերքը այս տարի առատ է | Գյուղացիները մեքենաների հերթ են սպասում։
Դպրոցներում կբացվեն շախմատի նոր սենյակներ | Տախտակները պատրաստել են տեղի ատաղձագործները։
Հին կամուրջը փակ կլինի երեք գիշեր | Ավտոբուսները կգնան շրջանցիկ ճանապարհով։
Գրադարանը երեկոյան բաց կլինի մինչև տասը | Ընթերցողները դա խնդրել էին երկու տարի։
Լեռներում առաջին ձյունն է | Ճանապարհներն առայժմ բաց են։
Վանաձորի թատրոնը նոր տանիք ունի | Վերանորոգումը տևել է հինգ ամիս։
Բուժարանը հրավիրում է արյան դոնորների | Ամեն երեքշաբթի, առավոտյան ութից։
Երևանում կտնկեն չորս հազար ծառ | Առաջինը տնկել են դպրոցականները։
Հացթուխը գաղտնիքը հայտնեց թոռանը | Խմորը պետք է հանգստանա գիշերը։
Դիլիջանում կանցկացվի կինոփառատոն | Բացումը բաց երկնքի տակ է։
Գնացքը Երևանից Գյումրի կգնա ավելի արագ | Ճանապարհը կտևի երկու ժամ։
Թանգարանը ցուցադրում է հին քարտեզներ | Դրանցից մեկը գտել են ձեղնահարկում։
Խաղողի տոնը տեղափոխվել է շաբաթ օրը | Պատճառը եղանակն է։
Նոր ավտոբուսները լուռ են | Դրանք էլեկտրական են։
Շուկան կաշխատի նաև կիրակի | Վաճառողները համաձայն են։
Ուսանողները վերանորոգեցին աստղադիտակը | Լուսինը երևում է ինչպես ափի մեջ։
Գետի ափին նոր ճեմուղի կա | Նստարանները փայտից են։
"""
_RU = """
Новая станция метро откроется весной | Строители работают в две смены.
Уровень Севана поднялся на три сантиметра | Учёные считают это добрым знаком.
Оркестр из Гюмри едет на гастроли | Первый концерт пройдёт в пятницу.
Урожай абрикосов в этом году богатый | Крестьяне ждут машин в очереди.
В школах откроют шахматные комнаты | Доски сделали местные столяры.
Старый мост закроют на три ночи | Автобусы пойдут в объезд.
Библиотека будет открыта до десяти вечера | Читатели просили об этом два года.
В горах выпал первый снег | Дороги пока открыты.
У театра в Ванадзоре новая крыша | Ремонт длился пять месяцев.
Больница приглашает доноров | Каждый вторник с восьми утра.
В Ереване посадят четыре тысячи деревьев | Первое посадили школьники.
Пекарь открыл секрет внуку | Тесто должно отдыхать ночь.
В Дилижане пройдёт кинофестиваль | Открытие под открытым небом.
Поезд из Еревана в Гюмри пойдёт быстрее | Дорога займёт два часа.
Музей показывает старые карты | Одну из них нашли на чердаке.
Праздник винограда перенесли на субботу | Причиной стала погода.
Новые автобусы почти не слышно | Они электрические.
Рынок будет работать и в воскресенье | Продавцы согласны.
Студенты починили телескоп | Луна видна как на ладони.
Вдоль реки открыли новую аллею | Скамейки сделаны из дерева.
"""
_COMMON = """
Լուսանկարներ. Արարատը արևածագին · Фото: Арарат на рассвете | 12 լուսանկար · 12 снимков
Թվեր. ինչ արժե հացը · Цифры: сколько стоит хлеб | Աղյուսակ և քարտեզ · Таблица и карта
Քարտեզ. նոր երթուղիներ · Карта: новые маршруты | 41 երթուղի · 41 маршрут
Լուսանկարներ. Գյումրիի բակերը · Фото: дворы Гюмри | 20 լուսանկար · 20 снимков
Թվեր. քանի ծառ կա քաղաքում · Цифры: сколько в городе деревьев | Աղյուսակ · Таблица
Լուսանկարներ. շուկայի առավոտը · Фото: утро на рынке | 9 լուսանկար · 9 снимков
Քարտեզ. որտեղ է ձյունը · Карта: где лежит снег | Քարտեզ · Карта
Թվեր. ով է կարդում թերթը · Цифры: кто читает газету | Աղյուսակ · Таблица
"""


def _read(text: str) -> list[tuple[str, str]]:
    found = []
    for line in text.strip().splitlines():
        title, _, summary = line.partition(" | ")
        found.append((title, summary))
    return found


def stories() -> Mapping[str, Iterator[tuple[str, str]]]:
    """Titles and summaries by feed, each told once."""
    texts = {"news": _NEWS, "culture": _CULTURE, "hy": _HY, "ru": _RU, "common": _COMMON}
    return {feed: iter(_read(text)) for feed, text in texts.items()}


AUTHORS = {
    "news": ("Ines Calloway", "Tom Penrose", ""),
    "culture": ("Ada Quill", "Ines Calloway"),
    "hy": ("Անի Հարությունյան", "", "Դավիթ Մելիքյան"),
    "ru": ("Анна Саркисова", "Павел Мирзоян", ""),
    "common": ("",),
}
"""Who writes for a feed, in turns; nobody is named where it is empty."""

INTRO = """# Good morning from the newsroom

The *harbour fair* opens today, and we have put it first. **Mind the bridge**: it is closed at night.
"""
LETTER = """# Շնորհակալություն

Սիրելի՛ ընթերցող, այս շաբաթ մեր թերթը **տասը տարեկան** է։ Շնորհակալություն, որ մեզ կարդում եք։

Խմբագրություն
"""
"""What staff write above a digest, and in a letter."""
