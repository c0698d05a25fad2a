"""Airports for the calculator, with their reference points in degrees (WGS84): national aeronautical publications, as
gathered by airportsdata (2026-09, MIT), but Kunming and Daxing, whose places there are those of older airports."""

from typing import NamedTuple


class Airport(NamedTuple):
    """An airport: its name in Chinese and English, latitude and longitude."""

    name_zh: str
    name_en: str
    lat: float
    lon: float


AIRPORTS = {
    "KWE": Airport("贵阳龙洞堡", "Guiyang", 26.538, 106.801),
    "PEK": Airport("北京首都", "Beijing Capital", 40.08, 116.585),
    "PKX": Airport("北京大兴", "Beijing Daxing", 39.51, 116.411),
    "SHA": Airport("上海虹桥", "Shanghai Hongqiao", 31.198, 121.336),
    "PVG": Airport("上海浦东", "Shanghai Pudong", 31.143, 121.805),
    "CAN": Airport("广州白云", "Guangzhou", 23.392, 113.299),
    "SZX": Airport("深圳宝安", "Shenzhen", 22.639, 113.811),
    "CTU": Airport("成都双流", "Chengdu Shuangliu", 30.578, 103.947),
    "TFU": Airport("成都天府", "Chengdu Tianfu", 30.29, 104.443),
    "CKG": Airport("重庆江北", "Chongqing", 29.719, 106.642),
    "KMG": Airport("昆明长水", "Kunming", 25.102, 102.929),
    "XIY": Airport("西安咸阳", "Xi'an", 34.447, 108.752),
    "WUH": Airport("武汉天河", "Wuhan", 30.784, 114.208),
    "CSX": Airport("长沙黄花", "Changsha", 28.189, 113.22),
    "HGH": Airport("杭州萧山", "Hangzhou", 30.23, 120.434),
    "NKG": Airport("南京禄口", "Nanjing", 31.742, 118.862),
    "XMN": Airport("厦门高崎", "Xiamen", 24.544, 118.128),
    "TAO": Airport("青岛胶东", "Qingdao", 36.365, 120.098),
    "NNG": Airport("南宁吴圩", "Nanning", 22.608, 108.172),
    "HAK": Airport("海口美兰", "Haikou", 19.935, 110.459),
    "SYX": Airport("三亚凤凰", "Sanya", 18.303, 109.412),
    "URC": Airport("乌鲁木齐", "Ürümqi", 43.907, 87.474),
    "HRB": Airport("哈尔滨太平", "Harbin", 45.623, 126.25),
    "SHE": Airport("沈阳桃仙", "Shenyang", 41.64, 123.483),
    "LXA": Airport("拉萨贡嘎", "Lhasa", 29.298, 90.912),
    "HKG": Airport("香港", "Hong Kong", 22.309, 113.915),
    "SIN": Airport("新加坡樟宜", "Singapore", 1.35, 103.994),
    "BKK": Airport("曼谷素万那普", "Bangkok", 13.681, 100.747),
    "NRT": Airport("东京成田", "Tokyo Narita", 35.765, 140.386),
    "ICN": Airport("首尔仁川", "Seoul Incheon", 37.469, 126.451),
    "DXB": Airport("迪拜", "Dubai", 25.253, 55.364),
    "LHR": Airport("伦敦希思罗", "London Heathrow", 51.471, -0.462),
    "FRA": Airport("法兰克福", "Frankfurt", 50.026, 8.543),
    "CDG": Airport("巴黎戴高乐", "Paris Charles de Gaulle", 49.013, 2.55),
    "SYD": Airport("悉尼", "Sydney", -33.946, 151.177),
    "JFK": Airport("纽约肯尼迪", "New York JFK", 40.64, -73.779),
    "LAX": Airport("洛杉矶", "Los Angeles", 33.942, -118.408),
}
